//! The stages, one a file: an async loop or a worker's loop, and what flows between them.
//!
//! `plan -> read -> work (decode, augment) -> collate`, wired in [`crate::pipeline`].

pub(crate) mod collate;
pub(crate) mod foresight;
pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod work;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::batch::{Filling, SlotWriter};
use crate::error::PipelineError;
use crate::queue::Sender;
use crate::sampler::EpochOrder;

/// A batch whose chunks are on their way: `plan -> collate`.
pub(crate) struct PlannedBatch {
    pub(crate) epoch: u64,
    pub(crate) step: u64,
    pub(crate) chunks: usize,
    pub(crate) filling: Arc<Filling>,
}

/// A run of a batch's slots and where their images come from: `plan -> read -> work`.
pub(crate) struct Chunk {
    /// Counts the batches of this pipeline.
    pub(crate) batch: u64,
    pub(crate) epoch: u64,
    pub(crate) order: Arc<EpochOrder>,
    /// Position in the epoch's order of the batch's slot 0.
    pub(crate) first_position: u64,
    pub(crate) slots: SlotWriter,
    /// What the read stage has read, image for image; nothing where all is mapped.
    pub(crate) fetched: Vec<read::Fetched>,
}

impl Chunk {
    /// Slot and position of each image.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (usize, u64)> + use<> {
        let first = self.first_position;
        self.slots.slots().map(move |slot| (slot, first + slot as u64))
    }

    /// The sample of each image.
    pub(crate) fn samples(&self) -> impl Iterator<Item = u64> {
        self.positions().map(|(_, position)| self.order.sample(position))
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Runs what feeds a queue; a panic is the queue's last item.
pub(crate) fn caught<T>(into: &Sender<Result<T, PipelineError>>, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let error = PipelineError::StagePanicked { message: panic_message(&*panic) };
        let _ = into.send_blocking(Err(error)); // Nobody may be listening any more.
    }
}

/// A chunk's slots are filled, or the run is over: `work -> collate`.
pub(crate) struct FinishedChunk {
    pub(crate) batch: u64,
    /// The slots come back, so that collate knows when no writer of a batch is left.
    pub(crate) outcome: Result<SlotWriter, PipelineError>,
}
