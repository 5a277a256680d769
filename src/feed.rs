//! From the pipeline's batches to the device's tensors. Where a device computes by itself, a thread copies the next batch
//! to it meanwhile; else there is no thread, and a batch is copied when it is asked for.

use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result, anyhow};
use simsiam_model::Backend;
use simsiam_model::backend::{Levels, Pixels, ViewBytes};
use simsiam_pipeline::{Batches, Dtype, PipelineError, Recipe};

/// A batch on its way to the device.
pub struct Fed<D: Backend> {
    /// Its views.
    pub views: D::Sent,
    /// The number of each image in the data.
    pub samples: Vec<usize>,
}

/// Batches on their way, in order.
pub enum Feed<D: Backend> {
    /// One at a time.
    Direct(Box<Sender<D>>),
    /// One ahead.
    Ahead {
        /// Where they come from; `None` only while dropping.
        fed: Option<Receiver<Result<Fed<D>>>>,
        /// What sends them.
        thread: Option<JoinHandle<()>>,
    },
}

/// Takes batches from the pipeline and sends them.
pub struct Sender<D> {
    batches: Batches,
    views: usize,
    levels: Box<Levels>,
    device: PhantomData<fn() -> D>,
}

impl<D: Backend> Feed<D> {
    /// The numbers that batches must be of: bytes where a device can normalise them by itself.
    pub const DTYPE: Dtype = if D::AHEAD { Dtype::U8 } else { Dtype::F32 };

    /// Feeds the first `views` views of each batch, which are `recipe`'s, of [`DTYPE`](Self::DTYPE) and channels first.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(batches: Batches, views: usize, recipe: &Recipe) -> Result<Self> {
        let sender =
            Sender { batches, views, levels: Box::new(recipe.levels()), device: PhantomData::<fn() -> D> };
        if !D::AHEAD {
            return Ok(Self::Direct(Box::new(sender)));
        }
        // The device has memory for two batches: one that is used and this one.
        let (to, fed) = sync_channel(1);
        let work = move || {
            for batch in sender {
                if to.send(batch).is_err() {
                    break;
                }
            }
        };
        let thread = Builder::new().name("feed".into()).spawn(work).context("the feeding thread")?;
        Ok(Self::Ahead { fed: Some(fed), thread: Some(thread) })
    }
}

impl<D: Backend> Iterator for Feed<D> {
    type Item = Result<Fed<D>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Direct(sender) => sender.next(),
            Self::Ahead { fed, thread } => match fed.as_ref()?.recv() {
                Ok(batch) => Some(batch),
                // The thread has ended: with its batches, or by a panic that is this thread's too.
                Err(_) => match thread.take()?.join() {
                    Ok(()) => None,
                    Err(panic) => resume_unwind(panic),
                },
            },
        }
    }
}

impl<D: Backend> Iterator for Sender<D> {
    type Item = Result<Fed<D>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(self.send(batch))
    }
}

impl<D: Backend> Sender<D> {
    fn send(&self, batch: Result<simsiam_pipeline::Batch, PipelineError>) -> Result<Fed<D>> {
        let batch = batch?;
        let views = 0..self.views;
        let pixels = match batch.format().dtype {
            Dtype::U8 => {
                let views = views.map(|view| ViewBytes::new(batch.view(view), batch.size(view).pow(2)));
                Pixels::Bytes { views: views.collect(), levels: &self.levels }
            }
            _ => Pixels::Values(views.map(|view| batch.view(view)).collect()),
        };
        let views = D::send(&pixels).map_err(|error| anyhow!("the device failed: {error}"))?;
        Ok(Fed { views, samples: batch.samples().map(|sample| sample as usize).collect() })
    }
}

/// Stops the thread: it ends when nobody takes what it sends.
impl<D: Backend> Drop for Feed<D> {
    fn drop(&mut self) {
        if let Self::Ahead { fed, thread } = self {
            drop(fed.take());
            // A panic of what nobody waits for any more is nobody's.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}
