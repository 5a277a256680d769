//! Where features come from: a network that is run on the images, or a file in which they already are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::search::Features;
use crate::config::{BadSamplePolicy, Preset, TrainConfig};
use crate::console::{Console, Unit};
use crate::data::Source;
use crate::embed::saved::{SavedFeatures, is_saved};
use crate::error::{Diverged, InputError};
use crate::evaluate::cosine::normalise;
use crate::evaluate::features::Extractor;
use crate::evaluate::frozen::{FeatureLayer, FrozenEncoder};
use crate::evaluate::subject::Subject;
use crate::interrupt::Interrupt;

/// What gives the features.
pub enum Origin {
    /// A network.
    Network {
        /// It, as a function.
        encoder: FrozenEncoder<'static>,
        /// How its images are made.
        config: Box<TrainConfig>,
        /// Whose it is, for a person.
        name: String,
    },
    /// Files that `embed` wrote.
    Saved {
        /// Of the shards themselves.
        own: PathBuf,
        /// Of the validation shards.
        val: Option<PathBuf>,
    },
}

impl Origin {
    /// Finds out what `path` is: the folder of a run or of one of its checkpoints, a file of features, or one of weights.
    /// `val` is the validation shards' file of features.
    ///
    /// # Errors
    /// If it is none of these, or broken; or if there is a file for the validation shards beside a network.
    pub fn open(path: &Path, val: Option<&Path>) -> Result<Self> {
        let shown = path.display();
        if !path.exists() {
            let text = format!("--duplicates {shown}: there is no such run or file");
            return Err(InputError::new(text).into());
        }
        if path.is_file() && is_saved(path) {
            return Ok(Self::Saved { own: path.to_owned(), val: val.map(Path::to_owned) });
        }
        if let Some(val) = val {
            let text = format!(
                "--val-features {}: {shown} is an encoder, which makes them of --val-shards",
                val.display()
            );
            return Err(InputError::new(text).into());
        }
        let subject = Subject::load(path, None)?;
        let (encoder, name) = (subject.freeze(FeatureLayer::Backbone)?, format!("{subject} of {shown}"));
        // The run's choice is for its own images.
        let config = TrainConfig { select: None, fraction: None, limit: None, ..subject.config };
        Ok(Self::Network { encoder, name, config: patient(config) })
    }

    /// The settings that shards are opened with.
    pub fn config(&self) -> TrainConfig {
        match self {
            Self::Network { config, .. } => (**config).clone(),
            Self::Saved { .. } => *patient(TrainConfig::preset(Preset::Demo)),
        }
    }

    /// For a person.
    pub fn name(&self) -> String {
        match self {
            Self::Network { name, .. } => name.clone(),
            Self::Saved { own, val: None } => own.display().to_string(),
            Self::Saved { own, val: Some(val) } => format!("{} and {}", own.display(), val.display()),
        }
    }

    /// The features of every usable sample of the shards themselves.
    ///
    /// # Errors
    /// If a file is of other shards, the pipeline fails, no sample is usable, or the user asked to stop.
    pub fn own(&self, source: Source, console: &Console, interrupt: &Interrupt) -> Result<ImageSet> {
        match self {
            Self::Network { encoder, config, .. } => encode(encoder, config, source, console, interrupt),
            Self::Saved { own, .. } => read(own, source),
        }
    }

    /// The same of the validation shards.
    ///
    /// # Errors
    /// As [`own`](Self::own); or if there is a file for the one and none for the other.
    pub fn val(&self, source: Source, console: &Console, interrupt: &Interrupt) -> Result<ImageSet> {
        match self {
            Self::Network { encoder, config, .. } => encode(encoder, config, source, console, interrupt),
            Self::Saved { val: Some(val), .. } => read(val, source),
            Self::Saved { own, val: None } => {
                let text = format!(
                    "--val-shards: {} holds the features of the others; --val-features names the file with theirs",
                    own.display()
                );
                Err(InputError::new(text).into())
            }
        }
    }
}

/// With no limit on the share of unusable images, which are left out and named.
fn patient(config: TrainConfig) -> Box<TrainConfig> {
    Box::new(TrainConfig { on_bad_sample: BadSamplePolicy::Skip, bad_sample_budget: 1.0, ..config })
}

/// Images and their features.
pub struct ImageSet {
    /// Where they are.
    pub source: Source,
    /// The number of the sample that each feature is of.
    pub samples: Vec<u64>,
    dim: usize,
    /// Of norm 1.
    values: Vec<f32>,
}

impl ImageSet {
    fn new(source: Source, samples: Vec<u64>, dim: usize, mut values: Vec<f32>) -> Result<Self> {
        if samples.is_empty() {
            let text = "no sample can be used (`simsiam inspect --verify` says why)";
            return Err(InputError::new(text).into());
        }
        normalise(&mut values, dim).map_err(|row| {
            Diverged(format!("the feature of {} is not finite", source.shards.locate(samples[row])))
        })?;
        Ok(Self { source, samples, dim, values })
    }

    /// Their features, of norm 1.
    pub fn features(&self) -> Features<'_> {
        Features { dim: self.dim, values: &self.values }
    }
}

fn encode(
    encoder: &FrozenEncoder<'_>,
    config: &TrainConfig,
    source: Source,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<ImageSet> {
    let extractor = Extractor { encoder, recipe: &config.recipe, workers: config.workers.count(), interrupt };
    let phase = console.phase("encoding", source.len(), Unit::Things("images"));
    let (mut samples, mut values) = (Vec::new(), Vec::new());
    values.reserve_exact(source.len() as usize * encoder.dim());
    for batch in extractor.plain(&source)? {
        let batch = batch?;
        samples.extend(batch.images.samples());
        values.extend_from_slice(&batch.features);
        phase.inc(batch.images.len() as u64);
    }
    ImageSet::new(source, samples, encoder.dim(), values)
}

fn read(path: &Path, source: Source) -> Result<ImageSet> {
    let mut saved = SavedFeatures::read(path)?;
    let (shards, all) = (&source.shards, 0..source.shards.len());
    // With a choice, the file has the features of the chosen samples, or of all.
    let samples = match (saved.samples(shards, source.chosen_samples(), path), &source.chosen) {
        (Err(_), Some(chosen)) => {
            let mut samples = saved.samples(shards, all, path)?;
            saved.keep(&mut samples, chosen);
            samples
        }
        (samples, _) => samples?,
    };
    ImageSet::new(source, samples, saved.dim, saved.values).context(path.display().to_string())
}
