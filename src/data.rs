//! The shards of a run: what it trains on, and what its kNN monitor asks and is asked.

use std::sync::Arc;

use anyhow::{Context, Result};
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{BadSample, Batches, Dtype, Format, Layout, Part, PipelineConfig, Quarantine, World};

use crate::config::TrainConfig;
use crate::error::InputError;

mod place;
mod source;
pub use place::{Place, decoded};
pub use source::Source;

/// Opened shards and their use.
pub struct Data {
    /// What is trained on.
    pub train: Source,
    /// What the kNN monitor compares; `None` if there is none.
    pub knn: Option<KnnData>,
    /// This process's share of each batch.
    pub share: World,
}

/// Labelled samples for the kNN monitor.
pub struct KnnData {
    /// The neighbours: the training samples, without augmentation.
    pub bank: Source,
    /// The samples to classify.
    pub queries: Source,
}

/// At most this many samples are held out for kNN queries.
const MAX_HELD_OUT: u64 = 10_000;

impl Data {
    /// Opens the shards that a configuration names, for a process alone.
    ///
    /// # Errors
    /// If shards are missing or broken, the batch is larger than the data, or labels are missing that are asked for.
    pub fn open(config: &TrainConfig, options: &OpenOptions) -> Result<Self> {
        let share = World::SINGLE;
        let all = Source::open_chosen(&config.shards, config, options)?;
        let val = Source::open_val(config, &all, options)?;
        let data = match (wants_knn(config, &all, val.as_ref())?, val) {
            (false, _) => Self { train: all, knn: None, share },
            (true, Some(queries)) => {
                let bank = all.clone().only_labelled(&config.shards)?;
                let queries = queries.only_labelled(&config.val_shards)?;
                Self { knn: Some(KnnData { bank, queries }), train: all, share }
            }
            (true, None) => {
                let knn = KnnData::with_held_out(all);
                Self { train: knn.bank.clone(), knn: Some(knn), share }
            }
        };
        data.steps_per_epoch(config)?;
        Ok(data)
    }

    /// Samples found unusable so far, those that the kNN monitor asks included.
    pub fn bad_samples(&self) -> Vec<BadSample> {
        self.quarantines().flat_map(Quarantine::list).collect()
    }

    /// The lists of them.
    pub fn quarantines(&self) -> impl Iterator<Item = &Quarantine> {
        let sources = [Some(&self.train), self.val()].into_iter().flatten();
        sources.map(|source| &*source.quarantine)
    }

    /// The validation shards, where there are any besides the training shards.
    pub fn val(&self) -> Option<&Source> {
        let queries = self.knn.as_ref().map(|knn| &knn.queries);
        queries.filter(|queries| !Arc::ptr_eq(&queries.shards, &self.train.shards))
    }

    /// Training steps in an epoch, of `accumulate` batches each.
    ///
    /// # Errors
    /// If a batch, or the batches of a step, are more than the data.
    pub fn steps_per_epoch(&self, config: &TrainConfig) -> Result<u64> {
        let sampler = PipelineConfig { group: 1, ..self.pipeline(config) }.sampler(&self.train.shards);
        let sampler = sampler.with_context(|| format!("--batch-size {}", config.batch_size))?;
        let (batches, accumulate) = (sampler.steps_per_epoch(), config.accumulate);
        if accumulate > batches {
            return Err(InputError::new(format!(
                "--accumulate {accumulate}: must be at most {batches}, the batches of an epoch"
            ))
            .into());
        }
        Ok(batches / accumulate)
    }

    /// The training batches from `step` on, counted over the whole run; channels first, in numbers of this type.
    ///
    /// # Errors
    /// If the pipeline cannot be started.
    pub fn batches(&self, config: &TrainConfig, step: u64, dtype: Dtype) -> Result<Batches> {
        let steps_per_epoch = self.steps_per_epoch(config)?;
        let pipeline = PipelineConfig {
            epochs: step / steps_per_epoch..config.epochs,
            first_step: step % steps_per_epoch * config.accumulate,
            ..self.fed(config, dtype)
        };
        let Source { shards, quarantine, .. } = self.train.clone();
        Ok(simsiam_pipeline::start(shards, quarantine, &pipeline)?)
    }

    /// Refuses training batches that do not fit into memory.
    ///
    /// # Errors
    /// If they take more than there is.
    pub fn check_memory(&self, config: &TrainConfig, dtype: Dtype) -> Result<()> {
        Ok(self.fed(config, dtype).check_memory()?)
    }

    /// The pipeline with the threads and numbers that do not change which batches there are.
    fn fed(&self, config: &TrainConfig, dtype: Dtype) -> PipelineConfig {
        PipelineConfig {
            workers: config.workers.count(),
            format: Format { layout: Layout::Nchw, dtype },
            ..self.pipeline(config)
        }
    }

    fn pipeline(&self, config: &TrainConfig) -> PipelineConfig {
        let training = PipelineConfig::training(config.recipe.clone(), config.batch_size, config.seed);
        let order = config.shuffle.order();
        self.train.pipeline(PipelineConfig {
            views: config.views(),
            world: self.share,
            order,
            group: config.accumulate,
            ..training
        })
    }
}

impl KnnData {
    /// Opens a configuration's shards to evaluate on: its validation shards, or a held out tenth of its training data, as
    /// while training.
    ///
    /// # Errors
    /// If shards are missing or broken, or no sample has a label.
    pub fn open(config: &TrainConfig, options: &OpenOptions) -> Result<Self> {
        let bank = Source::open_chosen(&config.shards, config, options)?;
        let val = Source::open_val(config, &bank, options)?;
        check_shared_labels(config, &bank, val.as_ref())?;
        let bank = bank.only_labelled(&config.shards)?;
        Ok(match val {
            Some(queries) => Self { bank, queries: queries.only_labelled(&config.val_shards)? },
            None => Self::with_held_out(bank),
        })
    }

    /// Names the samples that could not be used.
    pub fn warn_of_unusable(&self) {
        self.bank.warn_of_unusable();
        if !Arc::ptr_eq(&self.bank.quarantine, &self.queries.quarantine) {
            self.queries.warn_of_unusable();
        }
    }

    /// Whether the queries are a part of the training set that is set apart.
    pub fn is_held_out(&self) -> bool {
        Arc::ptr_eq(&self.bank.shards, &self.queries.shards)
    }

    /// Queries that are in the bank, too.
    pub fn shared(&self) -> u64 {
        if self.is_held_out() {
            return 0;
        }
        let Self { bank, queries } = self;
        queries.shards.shared_with(queries.chosen.as_ref(), &bank.shards, bank.chosen.as_ref())
    }

    /// Warns of a validation set that is, in part, the training set.
    pub fn warn_of_shared(&self) {
        let (shared, queries) = (self.shared(), self.queries.len());
        if shared == queries {
            tracing::warn!(
                "the validation set is a part of the training set: accuracies say nothing about new images"
            );
        } else if shared > 0 {
            tracing::warn!(
                "{shared} of the {queries} validation images are training images, too: accuracies on them say nothing about new ones"
            );
        }
    }

    /// Warns of queries that a run was trained on.
    pub fn warn_of_seen(&self) {
        tracing::warn!("the run was trained on all of its images, those that are classified here too");
    }

    /// Sets a tenth of the samples apart: never trained on, they are what the kNN monitor asks.
    fn with_held_out(all: Source) -> Self {
        let held_out = (all.len() / 10).clamp(1, MAX_HELD_OUT);
        let bank = Source { part: Part::Kept { held_out }, ..all.clone() };
        Self { bank, queries: Source { part: Part::HeldOut { held_out }, ..all } }
    }
}

/// Whether there will be kNN evaluations: not without labels, which is an error where they were asked for.
fn wants_knn(config: &TrainConfig, all: &Source, val: Option<&Source>) -> Result<bool> {
    if config.knn_every == Some(0) {
        return Ok(false);
    }
    let patterns = config.shards.join(" ");
    let labelled = all.labelled_len();
    // Where a tenth is held out, it is one of all samples.
    let lacking = match val {
        Some(val) if labelled == 0 || val.labelled_len() == 0 => {
            let patterns = if labelled == 0 { patterns } else { config.val_shards.join(" ") };
            format!("needs labels, but no sample of {patterns} has one")
        }
        None if labelled < all.chosen_len() => format!(
            "needs --val-shards with labels, or a label for every sample of {patterns}, but {labelled} of {} have one",
            all.chosen_len()
        ),
        _ => return check_shared_labels(config, all, val).map(|()| true),
    };
    if let Some(rule) = config.stop_when.first() {
        return Err(InputError::new(format!("--stop-when {rule} asks for kNN, which {lacking}")).into());
    }
    if val.is_some() || config.knn_every.is_some() {
        return Err(InputError::new(format!("kNN {lacking}; --knn-every 0 trains without it")).into());
    }
    if labelled > 0 {
        tracing::warn!("no kNN: it {lacking}");
    }
    Ok(false)
}

/// Refuses to compare labels that are numbers with labels that are names.
fn check_shared_labels(config: &TrainConfig, train: &Source, val: Option<&Source>) -> Result<()> {
    if val.is_none_or(|val| train.shards.shares_labels_with(&val.shards)) {
        return Ok(());
    }
    Err(InputError::new(format!(
        "the labels of {} and of {} cannot be compared: the ones are numbers and the others names; a classes.txt beside the \
         training shards says which number a name has",
        config.shards.join(" "),
        config.val_shards.join(" ")
    ))
    .into())
}
