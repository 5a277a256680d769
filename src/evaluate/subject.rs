//! What is evaluated: the network of a run as it was at a checkpoint, or before its first step.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use dfdx::prelude::Cpu;
use simsiam_model::network::Network;
use simsiam_model::state::{self, NamedTensor};
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::shards::Fingerprint;

use super::frozen::{FeatureLayer, FrozenEncoder};
use crate::checkpoint::{Checkpoint, CheckpointDir, folder};
use crate::config::TrainConfig;
use crate::error::InputError;
use crate::run_dir::saved_config;

/// Which of a run's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointChoice {
    /// The last that was saved.
    Newest,
    /// The one with the best kNN accuracy.
    Best,
    /// Before any training, with random weights that the run's seed gives; also of a run that began with imported ones.
    Untrained,
    /// The one after this many steps.
    Step(u64),
}

impl FromStr for CheckpointChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "newest" => Ok(Self::Newest),
            "best" => Ok(Self::Best),
            "untrained" => Ok(Self::Untrained),
            step => step.parse().map(Self::Step).map_err(|_| {
                format!("`{step}` is neither `newest`, `best`, `untrained` nor a step's number")
            }),
        }
    }
}

/// A network of a run.
pub struct Subject {
    /// The run's folder.
    pub run_dir: PathBuf,
    /// The run's configuration.
    pub config: TrainConfig,
    /// Steps that it was trained for.
    pub step: u64,
    /// The fingerprint of its training images, as far as it was trained on any.
    trained_on: Option<Fingerprint>,
    /// What was saved; `None` for the untrained network.
    weights: Option<Vec<NamedTensor>>,
}

impl Subject {
    /// Finds a network. `run` is a run's folder, or that of one of its checkpoints, where nothing is left to choose.
    ///
    /// # Errors
    /// If there is no run or no such checkpoint, or it is broken.
    pub fn load(run: &Path, choice: Option<CheckpointChoice>) -> Result<Self> {
        let (run_dir, choice) = match (step_of(run), choice) {
            (Some((run_dir, step)), None) => (run_dir, CheckpointChoice::Step(step)),
            (Some(_), Some(_)) => {
                let text =
                    format!("{} is a checkpoint, so --checkpoint has nothing to choose", run.display());
                return Err(InputError::new(text).into());
            }
            (None, choice) => (run.to_owned(), choice.unwrap_or(CheckpointChoice::Newest)),
        };
        let (config, checkpoints) = (saved_config(&run_dir)?, CheckpointDir::new(&run_dir));
        let Checkpoint { state, model, .. } = match choice {
            CheckpointChoice::Untrained => {
                return Ok(Self { run_dir, config, step: 0, trained_on: None, weights: None });
            }
            CheckpointChoice::Newest => checkpoints.newest()?,
            CheckpointChoice::Best => checkpoints.at(checkpoints.best_step()?)?,
            CheckpointChoice::Step(step) => checkpoints.at(step)?,
        };
        let (step, trained_on) = (state.counters.step, state.data);
        Ok(Self { run_dir, config, step, trained_on, weights: Some(model) })
    }

    /// Refuses shards that hold other data than the run was trained on, where they were to be the run's own; `flag` names
    /// shards whatever they hold.
    ///
    /// # Errors
    /// If they do.
    pub fn check_own(&self, shards: &ShardSet, flag: &str) -> Result<(), InputError> {
        match self.trained_on {
            Some(data) if !data.matches(&shards.fingerprint()) => Err(InputError::new(format!(
                "run {}: its training shards are no longer those that it was trained on; {flag} names the shards to take",
                self.run_dir.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The network as a function.
    ///
    /// # Errors
    /// If the saved weights do not fit the configuration.
    pub fn freeze(&self, layer: FeatureLayer) -> Result<FrozenEncoder<'static>> {
        let model = self.network()?;
        Ok(match layer {
            FeatureLayer::Backbone => {
                FrozenEncoder::new(model.features(), move |images| model.encode(images))
            }
            FeatureLayer::Projector => FrozenEncoder::new(model.dim(), move |images| model.project(images)),
        })
    }

    /// The network itself.
    ///
    /// # Errors
    /// If the saved weights do not fit the configuration.
    pub fn network(&self) -> Result<Network<Cpu>> {
        // Only the moving average of targets has a size that depends on the data, and it is saved with the weights.
        let average = self.weights.iter().flatten().find(|tensor| tensor.name == "average");
        let images = average.map_or(1, |tensor| tensor.shape[0]);
        let mut model = self.config.network(&Cpu::default(), images, 1);
        if let Some(weights) = &self.weights {
            state::import(&mut model, weights).with_context(|| format!("the model of {self}"))?;
        }
        Ok(model)
    }
}

/// `untrained`, or the checkpoint's folder.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.weights.is_some() { folder(self.step) } else { "untrained".into() })
    }
}

/// The run and the step, if `path` is `RUN/checkpoints/step-N`.
fn step_of(path: &Path) -> Option<(PathBuf, u64)> {
    let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
    let checkpoints = path.parent().filter(|parent| parent.ends_with("checkpoints"))?;
    Some((checkpoints.parent()?.to_owned(), step))
}
