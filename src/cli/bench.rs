//! The arguments of `simsiam bench`.

use std::path::PathBuf;

use clap::Args;
use simsiam_model::arch::Arch;

use super::{SourceArgs, topics};
use crate::bench::Stage;
use crate::config::recipe::recipe_table;
use crate::config::values::{number, pattern, positive, whole, within};
use crate::config::{Device, Precision, Preset, Shuffle, Workers};

/// `simsiam bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Images: folders of images, tars, zips, Parquet files, folders of these, globs or brace patterns; not for `--stage train`
    #[arg(long, help_heading = topics::DATA, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub shards: Vec<String>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Order of an epoch, as for `train` [default: whole]
    #[arg(long, help_heading = topics::DATA)]
    pub shuffle: Option<Shuffle>,
    /// What to measure
    #[arg(long, default_value = "batches")]
    pub stage: Stage,
    /// Preset of the views [default: cifar10 if the first image has at most 64 pixels a side, else imagenet]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Settings in a TOML file, as for `train`: the loader uses its recipe; `--stage train`, its network, device and precision
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Augmentation, as for `train`: `byol`, `swav`, or a TOML file
    #[arg(long, value_name = "NAME|FILE", value_parser = recipe_table)]
    pub recipe: Option<toml::Table>,
    /// Decode large JPEGs at a reduced size where crops allow it, as for `train`; 0 disables it
    #[arg(long, value_name = "GAP", value_parser = number::<f64>, allow_negative_numbers = true)]
    pub reducing_gap: Option<f64>,
    /// Encoder, for `--stage train`
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Device of the model, for `--stage train` [default: cpu]
    #[arg(long)]
    pub device: Option<Device>,
    /// Precision of products, for `--stage train` [default: f32 on the CPU, tf32 on a GPU]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Find the largest batch that fits the GPU's memory, from --batch-size up, and measure it
    #[arg(long)]
    pub largest_batch: bool,
    /// Print where a training step's time goes, for `--stage train` on the CPU
    #[arg(long)]
    pub profile: bool,
    /// Images per batch
    #[arg(long, default_value_t = 128, value_parser = within::<usize>(1, 1 << 30), allow_negative_numbers = true)]
    pub batch_size: usize,
    /// Number of loaders that divide each batch, this one included; not for `--stage train`
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = within::<u64>(1, 1 << 20), allow_negative_numbers = true)]
    pub world_size: u64,
    /// This loader's number, from 0
    #[arg(long, default_value_t = 0, value_name = "R", value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub rank: u64,
    /// Decoding threads: a number, or `auto` for half the cores; not for `--stage train` [default: auto]
    #[arg(long, help_heading = topics::DATA)]
    pub workers: Option<Workers>,
    /// Length of the measurement; a third of it only decodes, and the first sixth of each part is warm-up
    #[arg(long, default_value_t = 12.0, value_parser = seconds, allow_negative_numbers = true)]
    pub seconds: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Seconds of a measurement; at most a day.
fn seconds(text: &str) -> Result<f64, String> {
    let number = positive::<f64>(text)?;
    if number <= 86_400.0 { Ok(number) } else { Err("must be at most 86400, a day".into()) }
}
