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
pub use self::sources::{ChoiceArgs, SourceArgs};
pub use self::world::WorldArgs;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
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

/// Trains SimSiam (Chen & He 2021), self-supervised, straight from JPEG shards.
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
    /// Judge the features of a run: nearest neighbours and a linear probe
    #[command(after_help = examples::EVAL)]
    Eval(Box<EvalArgs>),
    /// Train a classifier end to end on a share of the labels, from a run's encoder or from scratch
    #[command(after_help = examples::FINETUNE)]
    Finetune(Box<FinetuneArgs>),
    /// Draw runs as one HTML file: charts, verdicts, settings that differ
    #[command(after_help = examples::REPORT)]
    Report(ReportArgs),
    /// List the runs in a folder, or compare some
    #[command(after_help = examples::RUNS)]
    Runs(RunsArgs),
    /// Show runs as a live page, and their metrics to Prometheus
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Write the features of shards to a file
    #[command(after_help = examples::EMBED)]
    Embed(EmbedArgs),
    /// Write a run's encoder for other programs: safetensors with torchvision's names, or ONNX
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Begin a run with weights from elsewhere: an export, torchvision's, or facebookresearch/simsiam's
    #[command(args_override_self = true, after_help = examples::IMPORT)]
    Import(Box<ImportArgs>),
    /// Write shards from a folder of images, or of class folders with images
    #[command(after_help = examples::PACK)]
    Pack(PackArgs),
    /// Write the images of shards as files: those that were packed, or the pixels that training sees
    #[command(after_help = examples::UNPACK)]
    Unpack(UnpackArgs),
    /// Count, measure and check the samples of shards
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Show what training sees at a step: images with their crops beside their views
    #[command(args_override_self = true, after_help = examples::PREVIEW)]
    Preview(Box<PreviewArgs>),
    /// Measure how many images a second the loader gives or the model learns from, and what holds them back
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Say whether this machine is fit to train, and compare a device's operations and training steps with the CPU's
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print a script that completes this command line in a shell
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
    /// Settings in a TOML file: the flags' names with `_` for `-`, and a table `recipe`; flags win over it
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where checkpoints and metrics go [default: the next free runs/NNN-PRESET-ARCH]
    #[arg(long, help_heading = topics::RUN, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Print the resolved configuration, as a file that --config takes
    #[arg(long, help_heading = topics::RUN)]
    pub show_config: bool,
    /// Write what each thread does when, for Perfetto or chrome://tracing; the file must be new
    #[arg(long, help_heading = topics::RUN, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
    /// Make a few steps in a temporary folder, and print the memory, disk and time that the run would take
    #[arg(long, help_heading = topics::RUN, conflicts_with = "resume")]
    pub dry_run: bool,
    /// Go on with the run in this folder, exactly where it stopped; with --epochs for more or fewer epochs
    #[arg(long, help_heading = topics::RUN, value_name = "RUN", conflicts_with = "run_dir")]
    pub resume: Option<PathBuf>,
    /// Show the run as a live page while it trains; HOST:PORT or a port [default: 127.0.0.1:6006]
    #[arg(long, help_heading = topics::RUN, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = Address::DEFAULT)]
    pub serve: Option<Address>,
    /// Write event files for TensorBoard, too, in RUN/tensorboard
    #[arg(long, help_heading = topics::RUN)]
    pub tensorboard: bool,
    /// With several processes: how long one may give no sign of life before all are ended [default: 20]
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
    /// Which runs
    pub study: Study,
    /// Settings of every run.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings of every run in a TOML file, as for `train`
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only these rows or tables of it, by name; the report also has what `--out` holds of the others
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Runs of each row, with seeds from --seed on [default: 3 with and without stop-gradient, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// Folder for the runs and the report; the same command goes on with what is missing in it
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
    /// Images, labelled or not: folders of images, tars, zips, parquets, folders of these, globs or brace patterns [default: the run's]
    #[arg(long, num_args = 1.., value_name = "PATH", value_parser = pattern())]
    pub shards: Option<Vec<String>>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// NAME.safetensors, or NAME.npy with NAME.labels.npy and NAME.keys.txt
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Whose output to write
    #[arg(long, default_value = "backbone")]
    pub features: FeatureLayer,
    /// Decoding threads: a number or `auto`; they change the speed, never the result
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
    /// What to write
    #[arg(long)]
    pub format: WeightFormat,
    /// The file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What else its metadata is to say; may be given again
    #[arg(long, value_name = "KEY=TEXT", value_parser = assignment)]
    pub metadata: Vec<(String, String)>,
}

/// `simsiam import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A safetensors file with an encoder's weights, and perhaps its heads'
    pub file: PathBuf,
    /// Settings of the run. With --shards, `train --resume` can go on with it.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings in a TOML file, as for `train`; its `recipe` can have the normalisation that the encoder was trained with
    #[arg(long, help_heading = topics::RUN, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the run goes [default: the next free runs/NNN-PRESET-ARCH]
    #[arg(long, help_heading = topics::RUN, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

/// `simsiam pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// Folder with one folder of images for each class, or with images, which have no labels then; or any other source: a zip, a Parquet
    /// file, tars, a folder of these, a glob or a brace pattern
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
    /// What the class of an image is [default: its folder, if all folders in SOURCE have images of their own]
    #[arg(long, value_name = "FOLDER")]
    pub labels: Option<ClassFolders>,
    /// Encode every image anew as a JPEG of this quality, 1 to 100
    #[arg(long, value_parser = within::<u8>(1, 100), allow_negative_numbers = true)]
    pub quality: Option<u8>,
    /// Order of the images in the shards
    #[arg(long, value_enum, default_value = "shuffled")]
    pub order: PackedOrder,
    /// Seed of the shuffle [default: 0]
    #[arg(long, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Beginning of the shards' names
    #[arg(long, default_value = "train")]
    pub prefix: String,
    /// Which of the images.
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// `simsiam unpack`.
#[derive(Debug, Args)]
pub struct UnpackArgs {
    /// Images: folders of images, tars, zips, parquets, folders of these, globs or brace patterns
    #[arg(required = true, value_parser = pattern())]
    pub shards: Vec<String>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Empty or new folder for the images: a folder for each class in it; images without a label lie in OUT itself
    #[arg(required = true)]
    pub out: PathBuf,
    /// What to write of each image
    #[arg(long, value_enum, default_value = "original")]
    pub format: UnpackedFormat,
}

/// What is written of each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum UnpackedFormat {
    /// The file as it was packed, byte for byte
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
    /// As good as any other
    Shuffled,
    /// That of their names: training on the shards is then the same as on the folder itself
    Name,
}

/// What the class of a packed image is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClassFolders {
    /// The first folder below SOURCE
    Top,
    /// The folder that the image lies in
    Parent,
    /// Nothing: no image has a label
    None,
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
    /// What to compare with the CPU [default: the GPU, if there is one]
    #[arg(long)]
    pub device: Option<Device>,
    /// How numbers are multiplied [default: f32 on the CPU, tf32 on a GPU]
    #[arg(long)]
    pub precision: Option<Precision>,
    /// Encoder of the training steps
    #[arg(long, default_value = "resnet8")]
    pub arch: Arch,
    /// Images a step
    #[arg(long, default_value_t = 64, value_parser = within::<usize>(2, 1 << 30), allow_negative_numbers = true)]
    pub batch_size: usize,
    /// Training steps
    #[arg(long, default_value_t = 100, value_parser = within::<usize>(1, 1 << 30), allow_negative_numbers = true)]
    pub steps: usize,
    /// Source of all values and sizes
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0), allow_negative_numbers = true)]
    pub seed: u64,
}
