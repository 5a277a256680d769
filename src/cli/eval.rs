//! `simsiam eval`.

use std::path::PathBuf;

use clap::Args;

use super::{SourceArgs, topics};
use crate::config::Workers;
use crate::config::values::{number, pattern, positive, whole, within};
use crate::evaluate::frozen::FeatureLayer;
use crate::evaluate::probe::examples::ProbeViews;
use crate::evaluate::probe::recipe::{ProbeOptimizer, Schedule};
use crate::evaluate::subject::CheckpointChoice;

/// `simsiam eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A run's folder, that of one of its checkpoints (RUN/checkpoints/step-N), or an encoder in a safetensors file
    pub run: PathBuf,
    /// `newest`, `best` (by kNN), `untrained` or a step; several, separated by commas [default: newest]
    #[arg(long, value_delimiter = ',', value_name = "WHICH")]
    pub checkpoint: Vec<CheckpointChoice>,
    /// Labelled shards to learn from: neighbours for kNN, training data for the probe [default: the run's]
    #[arg(long, help_heading = topics::DATA, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub train_shards: Option<Vec<String>>,
    /// Labelled shards to classify [default: the run's, else a tenth of the training shards, held out]
    #[arg(long, help_heading = topics::DATA, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub val_shards: Option<Vec<String>>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The part of the network whose output to evaluate
    #[arg(long, default_value = "backbone")]
    pub features: FeatureLayer,
    /// Run only this evaluation
    #[arg(long)]
    pub only: Option<Judge>,
    /// Number of neighbours that vote [default: the run's]
    #[arg(long, help_heading = topics::KNN, value_parser = whole::<usize>(1), allow_negative_numbers = true)]
    pub knn_k: Option<usize>,
    /// Temperature of the votes, which weigh exp(similarity / temperature) [default: the run's]
    #[arg(long, help_heading = topics::KNN, value_parser = number::<f32>, allow_negative_numbers = true)]
    pub knn_temperature: Option<f32>,
    /// The linear probe's settings.
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Decoding threads: a number or `auto`; they affect the speed, never the result
    #[arg(long)]
    pub workers: Option<Workers>,
    /// Print JSON, one line per result
    #[arg(long)]
    pub json: bool,
}

impl EvalArgs {
    /// Whether this is wanted.
    pub fn judges(&self, judge: Judge) -> bool {
        self.only.is_none_or(|only| only == judge)
    }
}

/// What tells how good features are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Judge {
    /// Votes of the nearest neighbours.
    Knn,
    /// A linear classifier.
    Probe,
}

/// The linear probe's settings.
#[derive(Debug, Args)]
#[command(next_help_heading = topics::PROBE)]
pub struct ProbeArgs {
    /// Recipe [default: lars for runs of the preset imagenet, else sgd]
    #[arg(long = "probe-recipe", id = "probe-recipe")]
    pub recipe: Option<ProbeOptimizer>,
    /// Features that it learns from [default: cached]
    #[arg(long = "probe-features", id = "probe-features")]
    pub views: Option<ProbeViews>,
    /// Epochs of training [default: the recipe's]
    #[arg(long = "probe-epochs", id = "probe-epochs", value_name = "EPOCHS", value_parser = within::<u64>(1, 1_000_000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Images per step, at most all; the learning rate is probe-lr * batch / 256 [default: the recipe's]
    #[arg(long = "probe-batch-size", id = "probe-batch-size", value_name = "IMAGES", value_parser = within::<usize>(1, 1 << 30), allow_negative_numbers = true)]
    pub batch_size: Option<usize>,
    /// Learning rate at a batch of 256, or several, separated by commas: the best is reported [default: the recipe's]
    #[arg(long = "probe-lr", id = "probe-lr", value_delimiter = ',', value_name = "LR", value_parser = positive::<f64>, allow_negative_numbers = true)]
    pub lr: Vec<f64>,
    /// Learning rate schedule [default: cosine]
    #[arg(long = "probe-schedule", id = "probe-schedule")]
    pub schedule: Option<Schedule>,
    /// Seed of its initial weights, order and crops [default: the run's seed]
    #[arg(long = "probe-seed", id = "probe-seed", value_name = "SEED", value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: Option<u64>,
}
