//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;

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
    /// Write shards from a folder of class folders with images
    Pack(PackArgs),
    /// Count, measure and check the samples of shards
    Inspect(InspectArgs),
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
