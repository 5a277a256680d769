//! `simsiam finetune`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::config::Workers;
use crate::config::values::{folder, number, pattern, positive, within};
use crate::evaluate::subject::CheckpointChoice;

/// `simsiam finetune`.
#[derive(Debug, Args)]
pub struct FinetuneArgs {
    /// A run's folder, that of one of its checkpoints (RUN/checkpoints/step-N), or an encoder in a safetensors file
    pub run: PathBuf,
    /// Share of the labels to learn from, the same for each class: `1%`, `10%`, `100%`
    #[arg(long, value_name = "SHARE")]
    pub labels: LabelShare,
    /// Initial weights of the classifier; comparing both shows the value of the encoder
    #[arg(long, value_delimiter = ',', default_value = "encoder")]
    pub from: Vec<Beginning>,
    /// Number of repetitions, with the seeds 0, 1, ..: each draws its own labels, order and crops
    #[arg(long, default_value_t = 3, value_parser = within::<u64>(1, 1000), allow_negative_numbers = true)]
    pub seeds: u64,
    /// `newest`, `best` (by kNN), `untrained` or a step [default: newest]
    #[arg(long, value_name = "WHICH")]
    pub checkpoint: Option<CheckpointChoice>,
    /// Labelled shards to learn from [default: the run's]
    #[arg(long, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub train_shards: Option<Vec<String>>,
    /// Labelled shards to classify [default: the run's, else a tenth of the training shards, held out]
    #[arg(long, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub val_shards: Option<Vec<String>>,
    /// Folder for indexes and copies that cannot be next to their sources [default: the user's cache folder]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pub cache_dir: Option<PathBuf>,
    /// Epochs over the labelled images [default: 60 up to 2 %, 30 up to 20 %, else 20]
    #[arg(long, value_parser = within::<u64>(1, 1_000_000), allow_negative_numbers = true)]
    pub epochs: Option<u64>,
    /// Images per step, at most all; the learning rate is base-lr * batch-size / 256
    #[arg(long, default_value_t = 64, value_parser = within::<usize>(2, 1 << 20), allow_negative_numbers = true)]
    pub batch_size: usize,
    /// Learning rate at a batch of 256 [default: 0.05 from the encoder, 0.2 from scratch]
    #[arg(long, value_parser = positive::<f64>, allow_negative_numbers = true)]
    pub base_lr: Option<f64>,
    /// L2 penalty on the encoder's parameters [default: 0 from the encoder, 5e-4 from scratch]
    #[arg(long, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,
    /// Decoding threads: a number or `auto`; they affect the speed, never the result
    #[arg(long)]
    pub workers: Option<Workers>,
    /// Print JSON, one line per initialisation
    #[arg(long)]
    pub json: bool,
}

/// What a classifier begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Beginning {
    /// The trained encoder.
    Encoder,
    /// The same encoder with random weights.
    Scratch,
}

/// A share of the labels, above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelShare(pub f64);

impl FromStr for LabelShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
        percent
            .map(|percent| percent / 100.0)
            .filter(|share| *share > 0.0 && *share <= 1.0)
            .map(Self)
            .ok_or_else(|| "must be a percentage above 0 and at most 100, such as `10%`".into())
    }
}
