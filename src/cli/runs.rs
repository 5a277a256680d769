//! `simsiam report` and `simsiam runs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::values::{pattern, whole, within};

/// `simsiam report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs; those that differ only in --seed are drawn as one line with a band
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The report, one HTML file that needs no network
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Also show images: a map of the features of N validation images, nearest neighbours, and the views of the first and the
    /// last step. Encodes up to 10,000 training images of each run
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1000", value_parser = within::<usize>(1, 5_000), allow_negative_numbers = true)]
    pub samples: Option<usize>,
    /// Also show the views of this step, from 1
    #[arg(long, requires = "samples", value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub step: Option<u64>,
    /// New location of the training shards, if they have moved
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "samples", value_parser = pattern())]
    pub shards: Option<Vec<String>>,
    /// New location of the validation shards, if they have moved
    #[arg(long, num_args = 1.., value_name = "PATH", requires = "samples", value_parser = pattern())]
    pub val_shards: Option<Vec<String>>,
}

/// `simsiam runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    /// What to do instead of listing.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Folder of runs; write `./compare` for a folder of that name
    #[arg(default_value = "runs")]
    pub dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `simsiam runs` does besides listing.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Print the settings that differ, and the metrics side by side
    Compare {
        /// Folders of runs
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
