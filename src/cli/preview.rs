//! Arguments of `simsiam preview`.

use std::path::PathBuf;

use clap::Args;

use crate::config::Overrides;
use crate::config::values::{whole, within};

/// `simsiam preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// A run's folder, for its images and settings; flags override them
    pub run: Option<PathBuf>,
    /// Settings, as for `train`.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Settings in a TOML file, as for `train`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// FILE.html, or FILE.png
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The training step, from 1, as in the log [default: the first]
    #[arg(long, value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub step: Option<u64>,
    /// The first step of this epoch, from 1
    #[arg(long, value_parser = whole::<u64>(1), allow_negative_numbers = true, conflicts_with = "step")]
    pub epoch: Option<u64>,
    /// Number of images to show
    #[arg(long, default_value_t = 8, value_parser = within::<usize>(1, 1_000), allow_negative_numbers = true)]
    pub count: usize,
}
