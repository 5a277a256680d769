//! Arguments of `simsiam inspect`.

use std::path::PathBuf;

use clap::Args;

use super::SourceArgs;
use super::topics::DUPLICATES;
use crate::config::Preset;
use crate::config::recipe::recipe_table;
use crate::config::values::{pattern, within};

/// `simsiam inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Images: folders of images, tars, zips, Parquet files, folders of these, globs or brace patterns
    #[arg(required = true, value_parser = pattern())]
    pub shards: Vec<String>,
    /// How they are read.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Decode everything and list every bad sample
    #[arg(long, conflicts_with_all = ["statistics", "duplicates"])]
    pub verify: bool,
    /// Instead, print mean and standard deviation of the pixels, as the `[recipe]` of a --config file
    #[arg(long, conflicts_with = "duplicates")]
    pub statistics: bool,
    /// Instead, print the steps of a recipe and how long each takes on these images: the preset's, `byol`, `swav`, or a TOML
    /// file's
    #[arg(long, value_name = "NAME|FILE", num_args = 0..=1, default_missing_value = "preset", value_parser = recipe_to_inspect, conflicts_with_all = ["verify", "statistics", "duplicates"])]
    pub recipe: Option<toml::Table>,
    /// Preset whose evaluation views --statistics uses, or whose recipe --recipe changes [default: cifar10 if the first image has
    /// at most 64 pixels a side, else imagenet]
    #[arg(long)]
    pub preset: Option<Preset>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Instead, print near-duplicates by features: of a run's newest encoder, of a safetensors file of weights, or in a file that
    /// `embed` wrote
    #[arg(long, value_name = "RUN|FILE", help_heading = DUPLICATES)]
    pub duplicates: Option<PathBuf>,
    /// How duplicates are looked for.
    #[command(flatten, next_help_heading = DUPLICATES)]
    pub search: DuplicateArgs,
}

/// How `simsiam inspect --duplicates` looks for them, and what it shows.
#[derive(Debug, Args)]
pub struct DuplicateArgs {
    /// Validation shards: images that are also in SHARDS are listed first
    #[arg(long, num_args = 1.., value_name = "PATH", value_parser = pattern(), requires = "duplicates")]
    pub val_shards: Option<Vec<String>>,
    /// Features of the validation images, if --duplicates is a file that `embed` wrote
    #[arg(long, value_name = "FILE", requires_all = ["duplicates", "val_shards"])]
    pub val_features: Option<PathBuf>,
    /// Minimum cosine similarity of features, above 0 and at most 1
    #[arg(long, default_value_t = 0.95, value_name = "SIMILARITY", value_parser = similarity, allow_negative_numbers = true, requires = "duplicates")]
    pub threshold: f32,
    /// Pairs of each kind to list and to draw; --json lists all
    #[arg(long, default_value_t = 20, value_name = "PAIRS", value_parser = within::<usize>(1, 1_000), allow_negative_numbers = true, requires = "duplicates")]
    pub top: usize,
    /// Draw the listed pairs side by side
    #[arg(long, value_name = "FILE.png", requires = "duplicates")]
    pub contact_sheet: Option<PathBuf>,
}

/// A recipe's changes of the preset's; none for the preset's own.
fn recipe_to_inspect(value: &str) -> Result<toml::Table, String> {
    if value == "preset" { Ok(toml::Table::new()) } else { recipe_table(value) }
}

/// A cosine similarity from which on images can be the same.
fn similarity(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "must be a number above 0, at most 1".into())
}
