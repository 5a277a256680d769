//! Puts the batches back in order, whichever worker was first, and hands them over.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{FinishedChunk, PlannedBatch};
use crate::batch::{Batch, BufferPool, SlotWriter};
use crate::error::PipelineError;
use crate::queue::{Receiver, Sender};
use crate::stats::timed;

/// Runs until the last batch is handed over, a worker reports an error, or the pipeline stops. An evaluation `may_be_empty`:
/// it leaves out what it cannot use.
pub(crate) async fn run(
    planned: Receiver<PlannedBatch>,
    finished: Receiver<FinishedChunk>,
    batches: Sender<Result<Batch, PipelineError>>,
    pool: Arc<BufferPool>,
    permits: Arc<Semaphore>,
    may_be_empty: bool,
) {
    let mut tally = Tally::default();
    let mut empty = EmptyEpoch::default();
    while let Ok(batch) = planned.recv().await {
        if let Some(epoch) = empty.ended_before(&batch) {
            let _ = batches.send(Err(PipelineError::NoUsableImage { epoch })).await;
            return;
        }
        while tally.head() < batch.chunks {
            let Ok(chunk) = finished.recv().await else { return };
            match chunk.outcome {
                Ok(writer) => tally.count(chunk.batch, writer),
                Err(error) => {
                    // Whether anyone still listens or not, this is the end.
                    let _ = batches.send(Err(error)).await;
                    return;
                }
            }
        }
        tally.next();
        let buffer = timed("collate", || batch.filling.finish());
        let buffer = buffer.expect("all the batch's writers were counted, and dropped there");
        if buffer.len() == 0 {
            pool.give_back(buffer);
            permits.add_permits(1);
            continue;
        }
        empty.so_far = None;
        if batches.send(Ok(Batch::new(batch.epoch, batch.step, buffer, pool.clone()))).await.is_err() {
            return;
        }
    }
    if let Some(epoch) = empty.so_far.filter(|_| !may_be_empty) {
        let _ = batches.send(Err(PipelineError::NoUsableImage { epoch })).await;
    }
}

/// Notices an epoch without a usable image: those that follow would have none either, and the consumer would wait for ever.
#[derive(Default)]
struct EmptyEpoch {
    /// The epoch under way, if it was seen from its first step on and had no image so far.
    so_far: Option<u64>,
}

impl EmptyEpoch {
    /// The epoch that ended without an image before `batch`.
    fn ended_before(&mut self, batch: &PlannedBatch) -> Option<u64> {
        let ended = self.so_far.filter(|&epoch| epoch != batch.epoch);
        if batch.step == 0 {
            self.so_far = Some(batch.epoch);
        }
        ended
    }
}

/// Finished chunks of each batch that is under way, oldest batch first.
#[derive(Default)]
struct Tally {
    first: u64,
    finished: VecDeque<usize>,
}

impl Tally {
    fn head(&self) -> usize {
        self.finished.front().copied().unwrap_or(0)
    }

    /// Counts a chunk by its writer, which ends here.
    fn count(&mut self, batch: u64, _writer: SlotWriter) {
        let place = (batch - self.first) as usize;
        if place >= self.finished.len() {
            self.finished.resize(place + 1, 0);
        }
        self.finished[place] += 1;
    }

    fn next(&mut self) {
        self.first += 1;
        self.finished.pop_front();
    }
}
