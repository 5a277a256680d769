//! Batches and their buffers: pooled, filled in place by the workers, never allocated in steady state.

mod aligned;
mod buffer;
mod pool;
mod shape;

pub(crate) use buffer::{BatchBuffer, Filling, SlotWriter};
pub(crate) use pool::BufferPool;
pub(crate) use shape::BufferShape;

use std::sync::Arc;

use crate::augment::{Element, Format, Layout};

/// A batch of augmented images. Dropping it returns its memory to the pool.
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

    /// The epoch of this batch, from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The step within the epoch, from 0.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Number of images.
    #[allow(clippy::len_without_is_empty, reason = "a batch holds at least one image")]
    pub fn len(&self) -> usize {
        self.buffer().len()
    }

    /// Side of a view's square images, in pixels.
    ///
    /// # Panics
    /// If `view` is not less than [`Batch::views`].
    pub fn size(&self, view: usize) -> usize {
        self.buffer().shape().size(view)
    }

    /// Number of views of each image.
    pub fn views(&self) -> usize {
        self.buffer().shape().views()
    }

    /// Element type and layout of the views.
    pub fn format(&self) -> Format {
        self.buffer().shape().format
    }

    /// The dimensions of a view: `[len, 3, size, size]`, or `[len, size, size, 3]`.
    ///
    /// # Panics
    /// If `view` is not less than [`Batch::views`].
    pub fn shape(&self, view: usize) -> [usize; 4] {
        let (len, size) = (self.len(), self.size(view));
        match self.format().layout {
            Layout::Nchw => [len, 3, size, size],
            Layout::Nhwc => [len, size, size, 3],
        }
    }

    /// One view of every image: RGB values in the view's [`shape`](Self::shape), normalised unless they are bytes.
    ///
    /// # Panics
    /// If `view` is not less than [`Batch::views`], or the batch's elements are not of type `E` ([`Format::dtype`]).
    pub fn view<E: Element>(&self, view: usize) -> &[E] {
        self.check::<E>();
        bytemuck::cast_slice(self.buffer().bytes(view))
    }

    /// The memory of one view, for programs that know types only at run time; aligned to 64 bytes.
    ///
    /// # Panics
    /// If `view` is not less than [`Batch::views`].
    pub fn bytes_mut(&mut self, view: usize) -> &mut [u8] {
        self.buffer_mut().bytes_mut(view)
    }

    /// The dataset index of each image.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.buffer().records().iter().map(|record| record.sample)
    }

    /// The label of each image, if it has one.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = Option<u32>> + '_ {
        self.buffer().records().iter().map(|record| record.label)
    }

    fn check<E: Element>(&self) {
        assert_eq!(E::DTYPE, self.format().dtype, "a batch is read as what it is made of");
    }

    fn buffer_mut(&mut self) -> &mut BatchBuffer {
        self.buffer.as_mut().expect("a batch holds its buffer until it is dropped")
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
