//! Decides what goes into each batch and where: sampler, buffers and permits meet here.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Chunk, PlannedBatch};
use crate::batch::{BufferPool, Filling};
use crate::queue::Sender;
use crate::sampler::{EpochOrder, Sampler};

/// Plans batch after batch from step `first_step` of the first epoch to the end of the last.
pub(crate) struct Plan {
    pub(crate) sampler: Sampler,
    pub(crate) epochs: Range<u64>,
    pub(crate) first_step: u64,
    /// Samples a message.
    pub(crate) chunk_len: usize,
    pub(crate) pool: Arc<BufferPool>,
    /// One for each batch that may be inside the pipeline; given back on delivery.
    pub(crate) permits: Arc<Semaphore>,
}

/// Runs until every batch is planned or the pipeline stops.
pub(crate) async fn run(plan: Plan, batches: Sender<PlannedBatch>, chunks: Sender<Chunk>) {
    if plan.sampler.positions(0).is_empty() {
        return; // An evaluation with fewer samples than ranks: this one has none of them, in any epoch.
    }
    let mut ordinal = 0;
    let mut first_step = plan.first_step;
    for epoch in plan.epochs.clone() {
        let order = Arc::new(plan.sampler.epoch(epoch));
        for step in first_step..plan.sampler.steps_per_epoch() {
            let Ok(permit) = plan.permits.acquire().await else { return };
            permit.forget();
            let (planned, parts) = plan.batch(ordinal, epoch, step, &order);
            if batches.send(planned).await.is_err() {
                return;
            }
            for chunk in parts {
                if chunks.send(chunk).await.is_err() {
                    return;
                }
            }
            ordinal += 1;
        }
        first_step = 0;
    }
}

impl Plan {
    fn batch(
        &self,
        ordinal: u64,
        epoch: u64,
        step: u64,
        order: &Arc<EpochOrder>,
    ) -> (PlannedBatch, impl ExactSizeIterator<Item = Chunk>) {
        let positions = self.sampler.positions(step);
        let len = (positions.end - positions.start) as usize;
        let (filling, writers) = Filling::split(self.pool.take(), len, self.chunk_len);
        let order = order.clone();
        let chunks = writers.into_iter().map(move |slots| Chunk {
            batch: ordinal,
            epoch,
            order: order.clone(),
            first_position: positions.start,
            slots,
            fetched: Vec::new(),
        });
        (PlannedBatch { epoch, step, chunks: chunks.len(), filling }, chunks)
    }
}
