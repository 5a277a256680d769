//! The command line.

mod bench;
mod eval;
mod examples;
pub mod finetune;
pub mod hints;
mod inspect;
mod log;
mod preview;
mod program;
mod runs;
mod serve;
mod sources;
pub(crate) mod topics;
mod world;

pub use self::bench::BenchArgs;
pub use self::eval::{EvalArgs, Judge, ProbeArgs};
pub use self::inspect::{DuplicateArgs, InspectArgs};
pub use self::log::LogArgs;
pub use self::preview::PreviewArgs;
pub use self::program::program;
pub use self::runs::{ReportArgs, RunsArgs, RunsCommand};
pub use self::serve::ServeArgs;
pub use self::sources::SourceArgs;
pub use self::world::WorldArgs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use simsiam_model::arch::Arch;
use simsiam_pipeline::unpack::UnpackFormat;

use self::finetune::FinetuneArgs;
use crate::config::values::{assignment, pattern, whole, within};
use crate::config::{Device, Overrides, Precision, Workers};
use crate::evaluate::frozen::FeatureLayer;
use crate::evaluate::subject::CheckpointChoice;
use crate::provenance::long_version;
use crate::serve::Address;
use crate::study::Study;
use crate::weights::WeightFormat;

/// Trains SimSiam (Chen & He 2021) and related self-supervised methods, directly from image files.
#[derive(Debug, Parser)]
#[command(version, long_version = long_version(), about, arg_required_else_help = true, after_help = examples::PROGRAM)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much is told.
    #[command(flatten)]
    pub log: LogArgs,
    /// What this process is to others.
    #[command(flatten)]
    pub world: WorldArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an encoder on shards, or on the demo's own images without --shards
    #[command(args_override_self = true, after_help = examples::TRAIN)]
    Train(Box<TrainArgs>),
    /// Run the paper's ablations, or all methods, in turn, and report their results
    #[command(args_override_self = true, after_help = examples::STUDY)]
    Study(Box<StudyArgs>),
    /// Evaluate the features of a run by nearest neighbours and a linear probe
    #[command(after_help = examples::EVAL)]
    Eval(Box<EvalArgs>),
    /// Train a classifier end to end on a share of the labels, from a run's encoder or from scratch
    #[command(after_help = examples::FINETUNE)]
    Finetune(Box<FinetuneArgs>),
    /// Draw runs as one HTML file: charts, verdicts, settings that differ
    #[command(after_help = examples::REPORT)]
    Report(ReportArgs),
    /// List the runs in a folder, or compare runs
    #[command(after_help = examples::RUNS)]
    Runs(RunsArgs),
    /// Serve runs as a live page, and their metrics for Prometheus
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Write the features of images to a file
    #[command(after_help = examples::EMBED)]
    Embed(EmbedArgs),
    /// Write a run's encoder for other programs: safetensors with torchvision's names, or ONNX
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Start a run from existing weights: an export, torchvision's, facebookresearch/simsiam's or moco's
    #[command(args_override_self = true, after_help = examples::IMPORT)]
    Import(Box<ImportArgs>),
    /// Write shards from a folder of images, or from any other source
    #[command(after_help = examples::PACK)]
    Pack(PackArgs),
    /// Write the images of shards as files: the original files, or the pixels that training sees
    #[command(after_help = examples::UNPACK)]
    Unpack(UnpackArgs),
    /// Count, measure and check the samples of shards
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Show what training sees at a step: images with their crops, and the views
    #[command(args_override_self = true, after_help = examples::PREVIEW)]
    Preview(Box<PreviewArgs>),
    /// Measure the images per second of the loader or of training, and name the bottleneck
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Check whether this machine can train, and compare a device's operations and training steps with the CPU's
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print a shell completion script
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write manual pages, one for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// `simsiam train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Settings.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings in a TOML file: the flags' names with `_` for `-`, and a table `recipe`; flags override it
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for checkpoints and metrics [default: the next free runs/NNN-PRESET-ARCH]
    #[arg(long, help_heading = topics::RUN, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Print the resolved configuration, as a file that --config takes, and train nothing
    #[arg(long, help_heading = topics::RUN)]
    pub show_config: bool,
    /// Write a trace of all threads for Perfetto or chrome://tracing; the file must not exist
    #[arg(long, help_heading = topics::RUN, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
    /// Run a few steps in a temporary folder, and print the memory, disk and time that the run would take
    #[arg(long, help_heading = topics::RUN, conflicts_with = "resume")]
    pub dry_run: bool,
    /// Resume the run in this folder exactly where it stopped; --epochs may change its length
    #[arg(long, help_heading = topics::RUN, value_name = "RUN", conflicts_with = "run_dir")]
    pub resume: Option<PathBuf>,
    /// Show the run as a live page while it trains; HOST:PORT or a port [default: 127.0.0.1:6006]
    #[arg(long, help_heading = topics::RUN, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = Address::DEFAULT)]
    pub serve: Option<Address>,
    /// Also write event files for TensorBoard, in RUN/tensorboard
    #[arg(long, help_heading = topics::RUN)]
    pub tensorboard: bool,
    /// With several processes: seconds without a heartbeat of one of them before all are ended [default: 20]
    #[arg(long, help_heading = topics::RUN, value_name = "SECONDS", default_value_t = TrainArgs::RANK_TIMEOUT_S, hide_default_value = true, value_parser = within::<u64>(2, 86_400), allow_negative_numbers = true)]
    pub rank_timeout: u64,
}

impl TrainArgs {
    /// All are ended within half a minute.
    pub const RANK_TIMEOUT_S: u64 = 20;
}

/// `simsiam study`.
#[derive(Debug, Args)]
pub struct StudyArgs {
    /// The set of runs
    pub study: Study,
    /// Settings of every run.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings of every run in a TOML file, as for `train`
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run only these rows or tables; the report also includes earlier results of the others in `--out`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Number of runs per row, with seeds from --seed on [default: 3 with and without stop-gradient, else 1]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub seeds: Option<u64>,
    /// Folder for the runs and the report; the same command again runs what is missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `simsiam embed`.
#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// A run's folder, that of one of its checkpoints (RUN/checkpoints/step-N), or an encoder in a safetensors file
    pub run: PathBuf,
    /// `newest`, `best` (by kNN), `untrained` or a step [default: newest]
    #[arg(long, value_name = "WHICH")]
    pub checkpoint: Option<CheckpointChoice>,
    /// Images, with or without labels: folders of images, tars, zips, Parquet files, folders of these, globs or brace patterns
    /// [default: the run's]
    #[arg(long, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub shards: Option<Vec<String>>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// NAME.safetensors, or NAME.npy with NAME.labels.npy and NAME.keys.txt
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The part of the network whose output to write
    #[arg(long, default_value = "backbone")]
    pub features: FeatureLayer,
    /// Decoding threads: a number or `auto`; they affect the speed, never the result
    #[arg(long)]
    pub workers: Option<Workers>,
}

/// `simsiam export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A run's folder, or that of one of its checkpoints (RUN/checkpoints/step-N)
    pub run: PathBuf,
    /// `newest`, `best` (by kNN), `untrained` or a step [default: newest]
    #[arg(long, value_name = "WHICH")]
    pub checkpoint: Option<CheckpointChoice>,
    /// The format
    #[arg(long)]
    pub format: WeightFormat,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// An entry to add to its metadata; may be repeated
    #[arg(long, value_name = "KEY=TEXT", value_parser = assignment)]
    pub metadata: Vec<(String, String)>,
}

/// `simsiam import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A safetensors file with the weights of an encoder, and optionally of its heads
    pub file: PathBuf,
    /// Settings of the run. With --shards, `train --resume` can go on with it.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings in a TOML file, as for `train`; its `recipe` can set the normalisation that the encoder was trained with
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the run [default: the next free runs/NNN-PRESET-ARCH]
    #[arg(long, help_heading = topics::RUN, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// `simsiam pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// Images: a folder, one with a folder per class, a zip, a Parquet file, tars, a folder of these, a glob or a brace pattern
    #[arg(value_parser = pattern())]
    pub source: String,
    /// Folder to write the shards to
    pub out: PathBuf,
    /// Size of a shard in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = within::<u64>(1, 1 << 30), allow_negative_numbers = true)]
    pub shard_size: u64,
    /// Scale images down whose longer side has more pixels than this
    #[arg(long, value_name = "PIXELS", value_parser = within::<u32>(1, 1 << 20), allow_negative_numbers = true)]
    pub max_side: Option<u32>,
    /// Re-encode every image as a JPEG of this quality, 1 to 100
    #[arg(long, value_parser = within::<u8>(1, 100), allow_negative_numbers = true)]
    pub quality: Option<u8>,
    /// Order of the images in the shards
    #[arg(long, value_enum, default_value = "shuffled")]
    pub order: PackedOrder,
    /// Seed of the shuffle [default: 0]
    #[arg(long, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Prefix of the shards' names
    #[arg(long, default_value = "train")]
    pub prefix: String,
    /// Which of the images, and how they are read.
    #[command(flatten)]
    pub images: SourceArgs,
}

/// `simsiam unpack`.
#[derive(Debug, Args)]
pub struct UnpackArgs {
    /// Images: folders of images, tars, zips, Parquet files, folders of these, globs or brace patterns
    #[arg(required = true, value_parser = pattern())]
    pub shards: Vec<String>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Empty or new folder for the images, with a folder per class; images without a label go into OUT itself
    #[arg(required = true)]
    pub out: PathBuf,
    /// Format of the written images
    #[arg(long, value_enum, default_value = "original")]
    pub format: UnpackedFormat,
}

/// What is written of each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum UnpackedFormat {
    /// The original file, byte for byte
    Original,
    /// Its decoded pixels as a PNG
    Png,
}

impl From<UnpackedFormat> for UnpackFormat {
    fn from(format: UnpackedFormat) -> Self {
        match format {
            UnpackedFormat::Original => Self::Original,
            UnpackedFormat::Png => Self::Png,
        }
    }
}

/// The order in which images are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PackedOrder {
    /// A random order
    Shuffled,
    /// The source's own order, by name in a folder: training on the shards equals training on the source
    Name,
}

/// `simsiam completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// `simsiam man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder to write the pages to
    pub dir: PathBuf,
}

/// `simsiam doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The device to compare with the CPU [default: the GPU, if there is one]
    #[arg(long)]
    pub device: Option<Device>,
    /// Precision of products [default: f32 on the CPU, tf32 on a GPU]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Encoder for the training steps
    #[arg(long, default_value = "resnet8")]
    pub arch: Arch,
    /// Images per step
    #[arg(long, default_value_t = 64, value_parser = within::<usize>(2, 1 << 30), allow_negative_numbers = true)]
    pub batch_size: usize,
    /// Training steps
    #[arg(long, default_value_t = 100, value_parser = within::<usize>(1, 1 << 30), allow_negative_numbers = true)]
    pub steps: usize,
    /// Seed of all values and sizes
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: u64,
}
