//! Flags about the images themselves, for all commands that read some.

use std::path::PathBuf;

use clap::Args;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::choose::{Choice, Chosen};
use simsiam_pipeline::sampler::SampleSet;
use simsiam_pipeline::shards::{Labels, OpenOptions};

use super::topics;
use crate::config::Overrides;
use crate::config::values::{ByteSize, folder, labels, number, whole};
use crate::error::InputError;

/// Flags of commands that read images, besides where these are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = topics::DATA)]
pub struct SourceArgs {
    /// Source of labels: `folders` (the first below the source), `parents`, `none`, or a CSV or TSV file [default: from the
    /// source itself]
    #[arg(long, value_name = "FROM", value_parser = labels())]
    pub labels: Option<Labels>,
    /// Folder for indexes and copies that cannot be next to their sources [default: the user's cache folder]
    #[arg(long, value_name = "DIR", value_parser = folder())]
    pub cache_dir: Option<PathBuf>,
    /// Maximum size of fetched shards there, such as 200GB [default: 50GiB]
    #[arg(long, value_name = "SIZE")]
    pub cache_size: Option<ByteSize>,
    /// Which of them.
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// Flags of commands that can use some of the images.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = topics::DATA)]
pub struct ChoiceArgs {
    /// Use only images that satisfy a condition: `label in [3, cat]`, `key like 'a*/*'`, `key in list.txt`, with and, or, not
    #[arg(long, value_name = "CONDITION")]
    pub select: Option<String>,
    /// Of those, use only this share of each class; a smaller one is a subset of a larger one
    #[arg(long, value_parser = number::<f64>, allow_negative_numbers = true)]
    pub fraction: Option<f64>,
    /// Of those, use only this many, with classes in proportion; a smaller number is a subset of a larger one
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1), allow_negative_numbers = true)]
    pub limit: Option<u64>,
}

impl ChoiceArgs {
    /// Which of the images to use; `None` is all.
    ///
    /// # Errors
    /// If none is as the flags say.
    pub fn chosen(&self, shards: &ShardSet) -> Result<Option<SampleSet>, InputError> {
        let choice = Choice { select: self.select.clone(), fraction: self.fraction, limit: self.limit };
        let chosen = choice.of(shards).map_err(|error| InputError::new(format!("--{error}")))?;
        Ok(chosen.map(|Chosen { samples, summary, warnings }| {
            tracing::info!("{summary}");
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            samples
        }))
    }
}

impl SourceArgs {
    /// These options with what the flags say.
    pub fn options(&self, options: OpenOptions) -> OpenOptions {
        self.overrides().open_options(options)
    }

    /// Whether any is given.
    pub fn is_given(&self) -> bool {
        let Self { labels, cache_dir, cache_size, choice } = self;
        let ChoiceArgs { select, fraction, limit } = choice;
        labels.is_some()
            || cache_dir.is_some()
            || cache_size.is_some()
            || select.is_some()
            || fraction.is_some()
            || limit.is_some()
    }

    /// As settings of a run.
    pub fn overrides(&self) -> Overrides {
        let Self { labels, cache_dir, cache_size, choice } = self.clone();
        let ChoiceArgs { select, fraction, limit } = choice;
        Overrides { labels, cache_dir, cache_size, select, fraction, limit, ..Overrides::default() }
    }
}
