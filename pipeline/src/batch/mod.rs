//! Batches and the buffers they live in: filled in place by the workers, pooled, never allocated in steady state.

mod buffer;
mod pool;

pub(crate) use buffer::{BatchBuffer, Filling, SlotWriter};
pub(crate) use pool::BufferPool;

use std::sync::Arc;

/// Augmented images on their way to the model. Its memory goes back to the pool when it is dropped.
pub struct Batch {
    epoch: u64,
    step: u64,
    /// `None` only while dropping.
    buffer: Option<BatchBuffer>,
    pool: Arc<BufferPool>,
}

impl Batch {
    pub(crate) fn new(epoch: u64, step: u64, buffer: BatchBuffer, pool: Arc<BufferPool>) -> Self {
        Self { epoch, step, buffer: Some(buffer), pool }
    }

    /// The epoch that this batch belongs to, from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Its place in the epoch, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Number of images.
    #[allow(clippy::len_without_is_empty, reason = "a batch holds at least one image")]
    pub fn len(&self) -> usize {
        self.buffer().len()
    }

    /// Side of the square images, in pixels.
    pub fn size(&self) -> usize {
        self.buffer().size()
    }

    /// Number of views of each image.
    pub fn views(&self) -> usize {
        self.buffer().views()
    }

    /// One view of every image: `len x 3 x size x size`, normalised RGB.
    ///
    /// # Panics
    /// If `view` is not less than [`Batch::views`].
    pub fn view(&self, view: usize) -> &[f32] {
        self.buffer().view(view)
    }

    /// The dataset index of each image.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.buffer().records().iter().map(|record| record.sample)
    }

    /// The class of each image, where its shard has one.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = Option<u32>> + '_ {
        self.buffer().records().iter().map(|record| record.label)
    }

    fn buffer(&self) -> &BatchBuffer {
        self.buffer.as_ref().expect("a batch holds its buffer until it is dropped")
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give_back(buffer);
        }
    }
}
