//! `simsiam report` and `simsiam runs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `simsiam report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs; those that differ only in --seed are drawn as one line with a band
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The page: one HTML file that needs no network
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
}

/// `simsiam runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsArgs {
    /// What to do instead of listing.
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Folder of runs; one that is called `compare` is written `./compare`
    #[arg(default_value = "runs")]
    pub dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `simsiam runs` does besides listing.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Print the settings that differ, and the metrics beside each other
    Compare {
        /// Folders of runs
        #[arg(required = true, num_args = 2.., value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
