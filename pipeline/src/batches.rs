//! The consumer's end of a pipeline: a `Stream` and a blocking iterator over the same queue.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use futures_core::Stream;
use tokio::sync::Semaphore;

use crate::batch::Batch;
use crate::error::PipelineError;
use crate::queue::{Closer, Delivery};
use crate::sampler::Sampler;
use crate::stages::{Chunk, FinishedChunk};
use crate::stats::{Gauges, Meters, PipelineStats};

/// Batches in order. Iterate over them (blocking) or poll them (async). Dropping this stops every thread and waits for
/// it.
///
/// After an error there are no more items.
pub struct Batches {
    delivery: Delivery<Result<Batch, PipelineError>>,
    sampler: Sampler,
    next: (u64, u64),
    meters: Arc<Meters>,
    shutdown: Shutdown,
}

impl Batches {
    pub(crate) fn new(
        delivery: Delivery<Result<Batch, PipelineError>>,
        sampler: Sampler,
        next: (u64, u64),
        meters: Meters,
        shutdown: Shutdown,
    ) -> Self {
        Self { delivery, sampler, next, meters: Arc::new(meters), shutdown }
    }

    /// Batches in one epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.sampler.steps_per_epoch()
    }

    /// Epoch and step of the batch after the last delivered one: where to resume.
    pub fn position(&self) -> (u64, u64) {
        self.next
    }

    /// Waits, rates and the bottleneck since the start.
    pub fn stats(&self) -> PipelineStats {
        self.meters.stats()
    }

    /// The same measurements for another thread, also after the batches have been passed on.
    pub fn gauges(&self) -> Gauges {
        Gauges(self.meters.clone())
    }

    fn delivered(&mut self, item: &Result<Batch, PipelineError>) {
        if let Ok(batch) = item {
            self.shutdown.permits.add_permits(1);
            let (epoch, step) = (batch.epoch(), batch.step() + 1);
            self.next = if step == self.steps_per_epoch() { (epoch + 1, 0) } else { (epoch, step) };
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, PipelineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.delivery.recv_blocking()?;
        self.delivered(&item);
        Some(item)
    }
}

impl Stream for Batches {
    type Item = Result<Batch, PipelineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.delivery.poll_recv(cx));
        if let Some(item) = &item {
            self.delivered(item);
        }
        Poll::Ready(item)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.delivery.close();
    }
}

/// Stops a pipeline: closes what its stages wait on, then waits for its threads.
pub(crate) struct Shutdown {
    pub(crate) permits: Arc<Semaphore>,
    /// For the read stage, where it waits for something else than a queue.
    pub(crate) stop: Arc<Semaphore>,
    pub(crate) chunks: [Closer<Chunk>; 2],
    pub(crate) finished: Closer<FinishedChunk>,
    pub(crate) threads: Vec<JoinHandle<()>>,
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.permits.close();
        self.stop.close();
        for chunks in &self.chunks {
            chunks.close();
        }
        self.finished.close();
        for thread in self.threads.drain(..) {
            // A panic has reached the consumer as an error already.
            let _ = thread.join();
        }
    }
}
