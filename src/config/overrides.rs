//! What the command line and a configuration file may change.

use std::path::Path;

use serde::{Deserialize, Serialize};
use simsiam_model::arch::Arch;
#[cfg(doc)]
use simsiam_pipeline::Recipe;

use super::{
    AlternateSteps, BadSamplePolicy, Device, Method, MlpBn, OnCollapse, Precision, Predictor, PredictorLr,
    Preset, Similarity, Symmetry, Target, Workers, checked_table,
};
use crate::error::InputError;

/// Where the help lists SimSiam's ablations.
const ABLATIONS: &str = "Ablations of SimSiam (Chen & He 2021, sections 4 and 5)";

/// What a flag or a line in the configuration file may set. Flags win over the file, the file over the preset.
#[derive(Clone, Debug, Default, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// Training shards: files, folders, globs or brace patterns; none for the demo's own images
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub shards: Option<Vec<String>>,
    /// Labelled shards for the kNN monitor [default: a tenth of the training data, at most 10,000, held out]
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub val_shards: Option<Vec<String>>,
    /// Named set of values [default: demo without shards, cifar10 for --arch at 32 or images of at most 64 pixels, else imagenet]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// What the encoder learns by [default: simsiam]
    #[arg(long)]
    pub method: Option<Method>,
    /// Encoder
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Passes over the data
    #[arg(long)]
    pub epochs: Option<u64>,
    /// Images a step; the learning rate is base-lr * batch-size / 256
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Decoding threads: a number, or `auto` for half the cores; they change the speed, never the result
    #[arg(long)]
    pub workers: Option<Workers>,
    /// The only source of randomness
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where the model runs
    #[arg(long)]
    pub device: Option<Device>,
    /// How numbers are multiplied [default: f32 on the CPU, tf32 on a GPU]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Learning rate at a batch of 256
    #[arg(long, allow_negative_numbers = true)]
    pub base_lr: Option<f64>,
    /// Epochs of linear warm-up
    #[arg(long)]
    pub warmup_epochs: Option<u64>,
    /// SGD's momentum
    #[arg(long)]
    pub momentum: Option<f64>,
    /// L2 penalty on all parameters
    #[arg(long, allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Whether the predictor's learning rate decays with the others
    #[arg(long, help_heading = ABLATIONS)]
    pub predictor_lr: Option<PredictorLr>,
    /// Layers of the projector
    #[arg(long)]
    pub projector_layers: Option<usize>,
    /// `false` lets gradients flow into the targets: collapses
    #[arg(long, value_name = "BOOL", help_heading = ABLATIONS)]
    pub stop_gradient: Option<bool>,
    /// Prediction head
    #[arg(long, help_heading = ABLATIONS)]
    pub predictor: Option<Predictor>,
    /// Layers of projector and predictor that have batch norm
    #[arg(long, help_heading = ABLATIONS)]
    pub mlp_bn: Option<MlpBn>,
    /// What predictions and targets are compared by
    #[arg(long, help_heading = ABLATIONS)]
    pub similarity: Option<Similarity>,
    /// Which views predict which
    #[arg(long, help_heading = ABLATIONS)]
    pub symmetry: Option<Symmetry>,
    /// Channels of the projections: 256, 512, 1024 or 2048
    #[arg(long, help_heading = ABLATIONS)]
    pub projector_dim: Option<usize>,
    /// Renew the targets' network only every N steps, or each `epoch`: the EM view
    #[arg(long, value_name = "N", help_heading = ABLATIONS)]
    pub alternate_steps: Option<AlternateSteps>,
    /// What predictions are compared with; moving-average goes without predictor unless one is named
    #[arg(long, help_heading = ABLATIONS)]
    pub target: Option<Target>,
    /// Momentum of moving targets [default: 0.8 of moving-average, 0.996 of byol, 0.999 or 0.99 (CIFAR) of mocov2]
    #[arg(long)]
    pub target_momentum: Option<f64>,
    /// Temperature of simclr, mocov2 and swav
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Keys in the queue of mocov2
    #[arg(long)]
    pub queue: Option<usize>,
    /// What to do when the outputs no longer tell images apart [default: warn]
    #[arg(long)]
    pub on_collapse: Option<OnCollapse>,
    /// Epochs between kNN evaluations, 0 for none [default: 1 if the data is labelled]
    #[arg(long)]
    pub knn_every: Option<u64>,
    /// Neighbours that vote
    #[arg(long)]
    pub knn_k: Option<usize>,
    /// Votes weigh exp(similarity / temperature)
    #[arg(long)]
    pub knn_temperature: Option<f32>,
    /// What to do with a sample that cannot be read or decoded
    #[arg(long)]
    pub on_bad_sample: Option<BadSamplePolicy>,
    /// Share of samples that may be unusable before the run stops; one may always be
    #[arg(long)]
    pub bad_sample_budget: Option<f64>,
    /// Steps between log lines
    #[arg(long)]
    pub log_every: Option<u64>,
    /// Steps between checkpoints, besides the one at each epoch's end
    #[arg(long)]
    pub checkpoint_every: Option<u64>,
    /// Checkpoints kept, besides the best
    #[arg(long)]
    pub keep_checkpoints: Option<usize>,
    /// What differs from the preset's augmentation, a table like [`Recipe`] (configuration file only)
    #[arg(skip)]
    pub recipe: Option<toml::Table>,
    /// Decode large JPEGs at 1/2, 1/4 or 1/8 where each crop still has so many times a view's width and height; 0 for never
    #[arg(long, value_name = "GAP")]
    pub reducing_gap: Option<f64>,
}

impl Overrides {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key or value that means nothing; line and column are named.
    pub fn from_file(path: &Path) -> Result<Self, InputError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| InputError::new(format!("configuration {}: {error}", path.display())))?;
        toml::from_str(&text)
            .map_err(|error| InputError::new(format!("configuration {}: {error}", path.display())))
    }

    /// These values where they are set, else those of `below`.
    ///
    /// # Errors
    /// If a number does not fit into a configuration file.
    pub fn over(&self, below: &Self) -> Result<Self, InputError> {
        let mut merged = checked_table(below)?;
        merged.extend(checked_table(self)?);
        Ok(merged.try_into().expect("two sets of overrides make one"))
    }

    /// These values where they are set, else those of a configuration file, if there is one.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file) and [`over`](Self::over).
    pub fn over_file(self, path: Option<&Path>) -> Result<Self, InputError> {
        match path {
            Some(path) => self.over(&Self::from_file(path)?),
            None => Ok(self),
        }
    }
}
