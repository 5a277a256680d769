//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::arch::Arch;
use crate::bench::Stage;
use crate::config::{Overrides, Preset, Workers};
use crate::study::Study;

/// Trains SimSiam (Chen & He 2021), self-supervised, straight from JPEG shards.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an encoder on shards, or on the demo's own images without --shards
    #[command(args_override_self = true)]
    Train(Box<TrainArgs>),
    /// Run the paper's ablations, or all methods, in turn, and report what came of them
    #[command(args_override_self = true)]
    Study(Box<StudyArgs>),
    /// Write shards from a folder of class folders with images
    Pack(PackArgs),
    /// Count, measure and check the samples of shards
    Inspect(InspectArgs),
    /// Measure how many images a second the loader gives or the model learns from, and what holds them back
    Bench(BenchArgs),
}

/// `simsiam train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Settings.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings in a TOML file with the flags' names (and `recipe`); flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where checkpoints and metrics go [default: the next free runs/NNN-PRESET-ARCH]
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Go on with the run in this folder, exactly where it stopped
    #[arg(long, value_name = "RUN", conflicts_with = "run_dir")]
    pub resume: Option<PathBuf>,
}

/// `simsiam study`.
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// Which runs
    pub study: Study,
    /// Settings of every run.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings of every run in a TOML file, as for `train`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for the runs and the report; the same command goes on with what is missing in it
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `simsiam pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// Folder with one folder of images for each class
    pub source: PathBuf,
    /// Folder to write the shards to
    pub out: PathBuf,
    /// Size of a shard in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    pub shard_size: u64,
    /// Scale images down whose longer side has more pixels than this
    #[arg(long, value_name = "PIXELS")]
    pub max_side: Option<u32>,
    /// Encode every image anew as a JPEG of this quality, 1 to 100
    #[arg(long)]
    pub quality: Option<u8>,
    /// Seed of the shuffle
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Beginning of the shards' names
    #[arg(long, default_value = "train")]
    pub prefix: String,
}

/// `simsiam inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Shards: files, folders, globs or brace patterns
    #[arg(required = true)]
    pub shards: Vec<String>,
    /// Decode everything and list every bad sample
    #[arg(long)]
    pub verify: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `simsiam bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Shards: files, folders, globs or brace patterns; none for `--stage train`
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub shards: Vec<String>,
    /// What to measure
    #[arg(long, default_value = "batches")]
    pub stage: Stage,
    /// Whose views to make [default: cifar10 if the first image has at most 64 pixels a side, else imagenet]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Settings in a TOML file, as for `train`; of use is its `recipe`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Decode large JPEGs at a reduced size where crops allow it, as for `train`; 0 for never
    #[arg(long, value_name = "GAP")]
    pub reducing_gap: Option<f64>,
    /// Encoder, for `--stage train`
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Say where a training step's time goes
    #[arg(long)]
    pub profile: bool,
    /// Images a batch
    #[arg(long, default_value_t = 128)]
    pub batch_size: usize,
    /// Decoding threads: a number or `auto`
    #[arg(long, default_value = "auto")]
    pub workers: Workers,
    /// Length of the measurement: a third of it decodes only, and a sixth of each part warms up
    #[arg(long, default_value_t = 12.0)]
    pub seconds: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
