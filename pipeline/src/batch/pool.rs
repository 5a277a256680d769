//! A pool of free buffers for the next batches.

use std::sync::{Mutex, PoisonError};

use super::{BatchBuffer, BufferShape};

/// Free buffers of one shape. How many batches exist at once is bounded by the pipeline's permits, not here: a
/// consumer that keeps batches costs new buffers, never a deadlock.
pub(crate) struct BufferPool {
    free: Mutex<Vec<BatchBuffer>>,
    keep: usize,
    shape: BufferShape,
}

impl BufferPool {
    /// A pool that keeps at most `keep` free buffers.
    pub(crate) fn new(keep: usize, shape: BufferShape) -> Self {
        Self { free: Mutex::new(Vec::with_capacity(keep)), keep, shape }
    }

    pub(crate) fn take(&self) -> BatchBuffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| BatchBuffer::new(self.shape.clone()))
    }

    pub(crate) fn give_back(&self, buffer: BatchBuffer) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.keep {
            free.push(buffer);
        }
    }
}
