//! What may be chosen of a loader.

use std::path::PathBuf;
use std::sync::Arc;

use super::Loader;
use crate::augment::{CustomStep, Dtype, Layout, Recipe};
use crate::choose::{Choice, ChoiceError, Chosen};
use crate::error::ConfigError;
use crate::operation::ViewOperation;
use crate::pipeline::PipelineConfig;
use crate::quarantine::{OnBadSample, Quarantine};
use crate::sampler::{LastBatch, Order, Part, World};
use crate::shards::{Access, Labels, OpenOptions, ShardError, ShardSet};

/// Configures a [`Loader`]. Unset values are the defaults of [`PipelineConfig::training`] or [`PipelineConfig::evaluation`].
#[derive(Clone, Debug)]
#[must_use = "a loader is made by `build`"]
pub struct LoaderBuilder {
    patterns: Vec<String>,
    options: OpenOptions,
    on_bad_sample: OnBadSample,
    choice: Choice,
    config: PipelineConfig,
}

/// Why a loader cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The shards cannot be opened.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The settings cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The samples cannot be chosen.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

impl Loader {
    /// Two augmented views of every image of the shards that `patterns` name ([`ShardSet::open`]), shuffled anew in each
    /// epoch, in batches of `batch_size` images over all ranks.
    pub fn training(
        patterns: impl IntoIterator<Item = impl Into<String>>,
        recipe: Recipe,
        batch_size: usize,
    ) -> LoaderBuilder {
        LoaderBuilder::new(patterns, PipelineConfig::training(recipe, batch_size, 0))
    }

    /// One plain view of every image ([`Recipe::evaluation`]), in the shards' order, the last batch smaller.
    pub fn evaluation(
        patterns: impl IntoIterator<Item = impl Into<String>>,
        recipe: &Recipe,
        batch_size: usize,
    ) -> LoaderBuilder {
        LoaderBuilder::new(patterns, PipelineConfig::evaluation(recipe, batch_size))
    }
}

impl LoaderBuilder {
    fn new(patterns: impl IntoIterator<Item = impl Into<String>>, config: PipelineConfig) -> Self {
        Self {
            patterns: patterns.into_iter().map(Into::into).collect(),
            options: OpenOptions::default(),
            on_bad_sample: OnBadSample::default(),
            choice: Choice::default(),
            config,
        }
    }

    /// Threads that decode and augment, 1 to 1024; they change the speed, never the bytes. Default: 1.
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers;
        self
    }

    /// Finished batches that may wait for the consumer, at least 1; two more are under way at most. Bounds memory: see
    /// [`PipelineConfig::pool_bytes`]. Default: 4.
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.config.prefetch = prefetch;
        self
    }

    /// The only source of randomness. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// This process among those that share each batch. Default: alone.
    pub fn world(mut self, world: World) -> Self {
        self.config.world = world;
        self
    }

    /// Views of each image.
    pub fn views(mut self, views: usize) -> Self {
        self.config.views = views;
        self
    }

    /// Shuffled, whole or in windows of shards; or sequential.
    pub fn order(mut self, order: Order) -> Self {
        self.config.order = order;
        self
    }

    /// What becomes of a batch that is not full.
    pub fn last_batch(mut self, last_batch: LastBatch) -> Self {
        self.config.last_batch = last_batch;
        self
    }

    /// Only samples that a condition holds for, such as `label in [cat, dog] and key like 'train/*'`; the language is
    /// [`choose`](crate::choose)'s. Default: all.
    pub fn select(mut self, condition: impl Into<String>) -> Self {
        self.choice.select = Some(condition.into());
        self
    }

    /// Only this share of each class of those, more than 0 and at most 1; a smaller one is a part of a larger one. Default: all.
    pub fn fraction(mut self, fraction: f64) -> Self {
        self.choice.fraction = Some(fraction);
        self
    }

    /// Only so many of those, at least 1, the classes in proportion; a smaller number is a part of a larger one. Default: all.
    pub fn limit(mut self, samples: u64) -> Self {
        self.choice.limit = Some(samples);
        self
    }

    /// Which of the chosen samples: all, or a part that is held out or kept. Default: all.
    pub fn part(mut self, part: Part) -> Self {
        self.config.part = part;
        self
    }

    /// Channels first or last. Default: first.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.config.format.layout = layout;
        self
    }

    /// The type of the views' numbers. Default: `f32`.
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.config.format.dtype = dtype;
        self
    }

    /// A step of your own on a view's bytes, which the recipe lists by this name; [`build`](Self::build) fails if it does not. A
    /// [`LoaderState`](super::LoaderState) records the name, not what the step does.
    pub fn step(mut self, name: impl Into<String>, step: Arc<dyn CustomStep>) -> Self {
        self.config.steps.insert(name, step);
        self
    }

    /// An operation of your own on finished views, after the recipe's steps and the normalisation. A
    /// [`LoaderState`](super::LoaderState) does not record it.
    pub fn operation(mut self, operation: Arc<dyn ViewOperation>) -> Self {
        self.config.operation = Some(operation);
        self
    }

    /// What to do with samples that cannot be used. Default: replace them, up to one in a hundred.
    pub fn on_bad_sample(mut self, policy: OnBadSample) -> Self {
        self.on_bad_sample = policy;
        self
    }

    /// Where labels come from. Default: from the source itself.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.options.labels = labels;
        self
    }

    /// Where indexes go when a shard's own folder is read-only, and what is unpacked or fetched. Default: [`OpenOptions::cache_dir`].
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.cache_dir = Some(folder.into());
        self
    }

    /// Most bytes that fetched shards take there; an order that needs more of them at a time is refused. Default: 50 GiB.
    pub fn cache_size(mut self, bytes: u64) -> Self {
        self.options.cache_size = bytes;
        self
    }

    /// Whether this process may get a handler for SIGBUS, which memory maps need: see [`shards`](crate::shards#memory-maps-and-sigbus).
    /// Without one, samples are copied out of the shards ([`Access::Copied`]). Default: yes.
    pub fn fault_handler(mut self, allowed: bool) -> Self {
        self.options.access = if allowed { Access::Mapped } else { Access::Copied };
        self
    }

    /// Opens the shards. No thread is started before the first epoch, except those that fetch remote shards.
    ///
    /// # Errors
    /// If the shards cannot be opened, or the settings cannot work, or no sample is as they ask for; or the cache has no room for the
    /// remote shards that are needed at a time.
    pub fn build(mut self) -> Result<Loader, LoaderError> {
        self.config.validate()?;
        self.choice.validate()?;
        let shards = Arc::new(ShardSet::open(&self.patterns, &self.options)?);
        for warning in shards.warnings() {
            tracing::warn!("{warning}");
        }
        shards.check_room(self.config.order)?;
        self.config.mixture = shards.mixture().cloned();
        if let Some(Chosen { samples, summary, warnings }) = self.choice.of(&*shards)? {
            tracing::info!("{summary}");
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            self.config.chosen = Some(samples);
        }
        let steps_per_epoch = self.config.sampler(&shards)?.steps_per_epoch();
        let quarantine = Arc::new(Quarantine::new(self.on_bad_sample, self.config.population(&shards).len()));
        Ok(Loader { shards, quarantine, config: self.config, steps_per_epoch, running: None })
    }
}
