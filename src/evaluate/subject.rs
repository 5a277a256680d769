//! What is evaluated: the network of a run as it was at a checkpoint, or before its first step.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result};
use dfdx::prelude::Cpu;
use simsiam_model::network::Network;
use simsiam_model::state::{self, NamedTensor};
use simsiam_pipeline::shards::{Fingerprint, OpenOptions};
use simsiam_pipeline::{Part, ShardSet};

use super::frozen::{FeatureLayer, FrozenEncoder};
use crate::checkpoint::{CheckpointDir, SavedModel, folder};
use crate::config::{Overrides, ShardFlags, TrainConfig};
use crate::data::KnnData;
use crate::error::InputError;
use crate::provenance::Provenance;
use crate::run_dir::saved_config;
use crate::weights::foreign::ForeignWeights;

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

/// A network of a run, or the encoder in a file.
pub struct Subject {
    /// The run's folder; of a file, its name without extension, where what is found out about it goes.
    pub run_dir: PathBuf,
    /// The run's configuration.
    pub config: TrainConfig,
    /// Steps that it was trained for.
    pub step: u64,
    /// The fingerprint of the run's training images, as far as there are any.
    trained_on: Option<Fingerprint>,
    /// Which of its training images it was trained on; `None` if on none.
    part: Option<Part>,
    /// Top-1 of the kNN monitor when it was saved, in percent.
    knn: Option<f64>,
    /// The process that saved it.
    provenance: Option<Provenance>,
    weights: Weights,
}

/// Where a network's values come from.
enum Weights {
    /// Its seed.
    Untrained,
    /// A checkpoint.
    Saved(Vec<NamedTensor>),
    /// A file, which has the encoder and perhaps the heads.
    File(Box<ForeignWeights>),
}

impl Subject {
    /// Finds a network. `run` is a run's folder; or that of one of its checkpoints, or a safetensors file with an encoder,
    /// where nothing is left to choose.
    ///
    /// # Errors
    /// If there is no run, no such checkpoint or no encoder, or it is broken.
    pub fn load(run: &Path, choice: Option<CheckpointChoice>) -> Result<Self> {
        if run.is_file() {
            return Self::of_file(run, choice);
        }
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
        let SavedModel { state, model } = match choice {
            CheckpointChoice::Untrained => {
                // What the run is of is known to its checkpoints, if it has any.
                let trained_on = checkpoints.newest_model().ok().and_then(|saved| saved.state.data);
                return Ok(Self {
                    run_dir,
                    config,
                    step: 0,
                    trained_on,
                    part: None,
                    knn: None,
                    provenance: None,
                    weights: Weights::Untrained,
                });
            }
            CheckpointChoice::Newest => checkpoints.newest_model()?,
            CheckpointChoice::Best => checkpoints.model_at(checkpoints.best_step()?)?,
            CheckpointChoice::Step(step) => checkpoints.model_at(step)?,
        };
        Ok(Self {
            run_dir,
            config,
            step: state.counters.step,
            trained_on: state.data,
            part: state.part,
            knn: state.counters.last_knn,
            provenance: state.provenance,
            weights: Weights::Saved(model),
        })
    }

    fn of_file(path: &Path, choice: Option<CheckpointChoice>) -> Result<Self> {
        let shown = path.display();
        if choice.is_some() {
            let text = format!("{shown} is a file, so --checkpoint has nothing to choose");
            return Err(InputError::new(text).into());
        }
        let weights = ForeignWeights::read(path)?;
        let config = weights.config().map_err(|error| InputError::new(format!("{shown}: {error}")))?;
        let subject = Self {
            run_dir: path.with_extension(""),
            config,
            step: 0,
            trained_on: None,
            part: None,
            knn: None,
            provenance: None,
            weights: Weights::File(Box::new(weights)),
        };
        subject.network()?;
        Ok(subject)
    }

    /// Refuses shards that hold other data than the run was trained on, where they were to be the run's own; `flag` names
    /// shards whatever they hold.
    ///
    /// # Errors
    /// If they do.
    pub fn check_own(&self, shards: &ShardSet, flag: &str) -> Result<(), InputError> {
        match self.trained_on.filter(|_| self.part.is_some()) {
            Some(data) if !data.matches(&shards.fingerprint()) => Err(InputError::new(format!(
                "run {}: its training shards are no longer those that it was trained on; {flag} names the shards to take",
                self.run_dir.display()
            ))),
            _ => Ok(()),
        }
    }

    /// The settings of the run in `run`, with those `given`, to look at images from here. The run's choice of images is for its own:
    /// of others that are named, those are used that are asked for.
    ///
    /// # Errors
    /// If settings contradict each other, or the shards are not there.
    pub fn settings(
        &self,
        run: &Path,
        given: &Overrides,
        flags: ShardFlags,
        options: &OpenOptions,
    ) -> Result<TrainConfig> {
        let mut config = self.config.with(given)?.found_from_here(run, given, flags)?;
        let choice = self.config.choice();
        if let (Some(patterns), true, Some(own)) = (&given.shards, choice.is_given(), self.trained_on) {
            let named = ShardSet::open(patterns, &config.open_options(options))?;
            if !own.matches(&named.fingerprint()) {
                let Overrides { select, fraction, limit, .. } = given.clone();
                config = TrainConfig { select, fraction, limit, ..config };
            }
        }
        Ok(config)
    }

    /// Whether it was trained on the images that are classified.
    pub fn has_seen(&self, data: &KnnData) -> bool {
        data.is_held_out() && self.part.is_some_and(|part| part != data.bank.part)
    }

    /// The network as a function.
    ///
    /// # Errors
    /// If the saved weights do not fit the configuration.
    pub fn freeze(&self, layer: FeatureLayer) -> Result<FrozenEncoder<'static>> {
        let (model, heads) = self.with_heads()?;
        if layer == FeatureLayer::Projector && heads.is_some_and(|heads| !heads.contains(&"projector")) {
            let method = self.config.method;
            return Err(InputError::new(format!(
                "{self} holds no projector of {method}; `--features backbone` takes its encoder's features"
            ))
            .into());
        }
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
        Ok(self.with_heads()?.0)
    }

    /// The network, and which heads are not random if it comes from a file.
    fn with_heads(&self) -> Result<(Network<Cpu>, Option<Vec<&'static str>>)> {
        let saved = if let Weights::Saved(saved) = &self.weights { &saved[..] } else { &[] };
        // Only the moving average of targets has a size that depends on the data, and it is saved with the weights.
        let average = saved.iter().find(|tensor| tensor.name == "average");
        let images = average.map_or(1, |tensor| tensor.shape[0]);
        let mut model = self.config.network(&Cpu::default(), images, 1);
        let mut heads = None;
        match &self.weights {
            Weights::Untrained => {}
            Weights::Saved(saved) => {
                state::import(&mut model, saved).with_context(|| format!("the model of {self}"))?;
            }
            Weights::File(weights) => {
                let arch = weights.arch;
                let taken = ForeignWeights::clone(weights).read_into(&mut model);
                let taken = taken
                    .map_err(|error| InputError::new(format!("{self}: its {arch} does not fit: {error}")))?;
                heads = Some(taken.heads);
            }
        }
        Ok((model, heads))
    }

    /// What is known of its training, for who is given the network: (key, value).
    pub fn facts(&self) -> Vec<(String, String)> {
        let data = self.trained_on.as_ref().filter(|_| self.part.is_some());
        let data = data.map(|data| ("data", data.short()));
        let knn = self.knn.map(|knn| ("knn", format!("{knn:.2}")));
        let facts = [Some(("steps", self.step.to_string())), data, knn];
        let facts = facts.into_iter().flatten().map(|(key, value)| (key.to_owned(), value));
        facts.chain(self.provenance.iter().flat_map(Provenance::metadata)).collect()
    }

    /// The same network with the initial values of a seed.
    pub fn untrained(&self, seed: u64) -> Network<Cpu> {
        TrainConfig { seed, ..self.config.clone() }.network(&Cpu::default(), 1, 1)
    }
}

/// `untrained`, the checkpoint's folder, or the file's name.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.weights {
            Weights::Untrained => f.write_str("untrained"),
            Weights::Saved(_) => f.write_str(&folder(self.step)),
            Weights::File(_) => {
                let name = self.run_dir.file_name().unwrap_or_default();
                write!(f, "{}", name.display())
            }
        }
    }
}

/// The run and the step, if `path` is `RUN/checkpoints/step-N`.
fn step_of(path: &Path) -> Option<(PathBuf, u64)> {
    let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
    let checkpoints = path.parent().filter(|parent| parent.ends_with("checkpoints"))?;
    Some((checkpoints.parent()?.to_owned(), step))
}
