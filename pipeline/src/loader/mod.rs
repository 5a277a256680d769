//! The pipeline as other programs embed it: opened by patterns, run epoch by epoch, saved and restored.
//!
//! - `builder`: what may be chosen; `state`: what is saved.
//!
//! A [`Loader`] adds nothing to what a batch is: it opens a [`ShardSet`] and a [`Quarantine`], and calls [`start`].

mod builder;
mod state;

pub use builder::{LoaderBuilder, LoaderError};
pub use state::{LoaderState, StateError};

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::batch::Batch;
use crate::batches::Batches;
use crate::error::{ConfigError, PipelineError};
use crate::pipeline::{PipelineConfig, start};
use crate::quarantine::Quarantine;
use crate::sampler::Order;
use crate::shards::ShardSet;
use crate::stats::PipelineStats;

/// Shards and a recipe, streamed epoch by epoch.
///
/// Threads are started by the first epoch and go on into the next one while the consumer still works on this one. Dropping
/// the loader stops them.
///
/// ```
/// # use simsiam_pipeline::shards::ShardWriter;
/// use simsiam_pipeline::{Loader, Recipe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let shards = dir.path().join("train-000.tar");
/// # let mut png = std::io::Cursor::new(Vec::new());
/// # image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8, y as u8, 9])).write_to(&mut png, image::ImageFormat::Png)?;
/// # let mut writer = ShardWriter::create(&shards)?;
/// # for i in 0..20 { writer.append(&format!("{i}"), "png", png.get_ref(), Some(i))?; }
/// # writer.finish()?;
/// # let shards = shards.to_str().ok_or("not UTF-8")?;
/// let mut loader = Loader::training([shards], Recipe::cifar10(), 8).workers(2).seed(1).build()?;
/// assert_eq!(loader.len(), 2); // batches in an epoch
/// for epoch in 0..3 {
///     for batch in loader.epoch(epoch)? {
///         let batch = batch?;
///         let (first, second): (&[f32], &[f32]) = (batch.view(0), batch.view(1));
///         assert_eq!(first.len(), 8 * 3 * 32 * 32);
///         assert_ne!(first, second);
///         # if epoch == 0 { break }
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Loader {
    shards: Arc<ShardSet>,
    quarantine: Arc<Quarantine>,
    /// Begins with the next batch, unless a pipeline runs: that knows better.
    config: PipelineConfig,
    steps_per_epoch: u64,
    running: Option<Batches>,
}

impl Loader {
    /// Number of batches in an epoch.
    #[allow(clippy::len_without_is_empty, reason = "an epoch has at least one batch")]
    pub fn len(&self) -> u64 {
        self.steps_per_epoch
    }

    /// The opened shards: keys, labels and places of samples.
    pub fn shards(&self) -> &Arc<ShardSet> {
        &self.shards
    }

    /// The samples that could not be used so far.
    pub fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    /// What its batches are made by.
    pub fn config(&self) -> &PipelineConfig {
        &self.config
    }

    /// Epoch and step of the next batch.
    pub fn position(&self) -> (u64, u64) {
        match &self.running {
            Some(batches) => batches.position(),
            None => (self.config.epochs.start, self.config.first_step),
        }
    }

    /// Whether threads are at work.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Waits and rates of the running pipeline, if one runs.
    pub fn stats(&self) -> Option<PipelineStats> {
        self.running.as_ref().map(Batches::stats)
    }

    /// The batches of one epoch: those that are left, if the loader is in the midst of it, else all.
    ///
    /// # Errors
    /// If the batches take more memory than there is, the order needs more remote shards at a time than the cache holds, or a thread
    /// cannot be started.
    pub fn epoch(&mut self, epoch: u64) -> Result<Epoch<'_>, ConfigError> {
        if self.position().0 != epoch {
            self.seek(epoch, 0);
        }
        if self.running.is_none() {
            let mut config = self.config.clone();
            if config.order == Order::Sequential {
                // An evaluation: nothing is prepared for a next one that may never come.
                config.epochs.end = epoch + 1;
            }
            self.running = Some(start(self.shards.clone(), self.quarantine.clone(), &config)?);
        }
        Ok(Epoch { loader: self, epoch })
    }

    /// Makes the batch at `step` of `epoch` the next one. What was prepared is thrown away.
    pub fn seek(&mut self, epoch: u64, step: u64) {
        self.running = None;
        (self.config.epochs.start, self.config.first_step) = (epoch, step);
    }

    /// Ends every thread; the next epoch starts them again where this one stopped.
    pub fn stop(&mut self) {
        let (epoch, step) = self.position();
        self.seek(epoch, step);
    }

    /// What another loader of the same shards needs to go on with the same bytes.
    pub fn state(&self) -> LoaderState {
        let (epoch, step) = self.position();
        LoaderState {
            version: LoaderState::VERSION,
            seed: self.config.seed,
            epoch,
            step,
            batch_size: self.config.batch_size,
            order: self.config.order,
            part: self.config.part,
            population: self.config.population(&self.shards).fingerprint(),
            last_batch: self.config.last_batch,
            recipe: self.config.recipe.clone(),
            views: self.config.views,
            data: self.shards.fingerprint(),
            bad: self.quarantine.list(),
        }
    }

    /// Goes on where the loader of `state` was, with its seed. Workers and ranks may differ. Steps and operations of
    /// your own ([`LoaderBuilder::step`], [`LoaderBuilder::operation`]) are not in the state: give this loader the same.
    ///
    /// # Errors
    /// If it was another version, batch size, order, part, choice, recipe or data, or treated the last batch in another way; nothing is
    /// changed then.
    pub fn restore(&mut self, state: LoaderState) -> Result<(), StateError> {
        state.check(self)?;
        self.config.seed = state.seed;
        self.quarantine.restore(state.bad);
        self.seek(state.epoch, state.step);
        Ok(())
    }

    /// What becomes of an item that the pipeline gave in `epoch`.
    fn took(
        &mut self,
        epoch: u64,
        item: Option<Result<Batch, PipelineError>>,
    ) -> Option<Result<Batch, PipelineError>> {
        match item {
            Some(Ok(batch)) if batch.epoch() == epoch => {
                if self.config.order == Order::Sequential && self.position().0 != epoch {
                    self.stop();
                }
                Some(Ok(batch))
            }
            // The last batches of this epoch were empty: no image was usable, or they had fewer than there are ranks.
            Some(Ok(batch)) => {
                self.seek(batch.epoch(), batch.step());
                None
            }
            Some(Err(error)) => {
                self.stop();
                Some(Err(error))
            }
            None => {
                self.seek(epoch + 1, 0);
                None
            }
        }
    }
}

/// The batches of one epoch. Iterate over it (blocking) or poll it (async). When it is dropped before its end, the loader
/// stays where it is. After an error there are no more items.
pub struct Epoch<'a> {
    loader: &'a mut Loader,
    epoch: u64,
}

impl Epoch<'_> {
    /// The pipeline, until the epoch's last batch is delivered.
    fn batches(&mut self) -> Option<&mut Batches> {
        let is_over = self.loader.position().0 != self.epoch;
        self.loader.running.as_mut().filter(|_| !is_over)
    }
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.batches()?.next();
        self.loader.took(self.epoch, item)
    }
}

impl Stream for Epoch<'_> {
    type Item = Result<Batch, PipelineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(batches) = self.batches() else { return Poll::Ready(None) };
        let item = ready!(Pin::new(batches).poll_next(cx));
        let epoch = self.epoch;
        Poll::Ready(self.loader.took(epoch, item))
    }
}
