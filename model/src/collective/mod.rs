//! Several processes, called *ranks*, that train one network on shares of each batch.
//!
//! A rank computes its own images' part of a step. Operations that span the batch gather the other ranks' parts, and
//! every rank computes the same result from the whole:
//!
//! | what | asks for |
//! |---|---|
//! | batch norm | the other ranks' moments, and in the backward pass their sums |
//! | the losses, and how outputs spread | the projections of the whole batch, by [`Ranks::gather`] |
//! | the update | the sums of all gradients, by [`Ranks::sum_gradients`] |
//! | MoCo's keys, where each rank has a batch norm of its own | images of other ranks, by [`Shuffle`] |
//!
//! The loss of a rank is therefore that of the global batch, and the ranks' gradients add up to its gradient. No loss,
//! method or optimiser knows the number of ranks.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfdx::prelude::*;

use crate::backend::cpu::profile::observed;
use crate::backend::{Backend, take_gradient};
use crate::tensors::Features;

mod gradients;
use gradients::Buckets;
mod shuffle;
mod threads;
pub use shuffle::Shuffle;
pub use threads::Threads;

#[cfg(feature = "mpi")]
pub mod mpi;

/// Communication among ranks. All ranks call each operation, in the same order.
///
/// An operation that cannot complete does not return: no rank can continue without the others, so the implementation
/// ends the process, and with it all ranks.
pub trait Collective: fmt::Debug + Send + Sync {
    /// This process's rank, `0..size`.
    fn rank(&self) -> usize;

    /// Number of processes.
    fn size(&self) -> usize;

    /// Gathers every rank's bytes in rank order: `size` times as many as `own`.
    fn all_gather(&self, own: &[u8], all: &mut [u8]);

    /// Begins to gather every rank's values in rank order, while this rank computes.
    fn begin_all_gather(&self, own: Vec<f32>) -> Box<dyn Exchange> {
        let mut all = vec![0.0; self.size() * own.len()];
        self.all_gather(bytemuck::cast_slice(&own), bytemuck::cast_slice_mut(&mut all));
        Box::new(all)
    }

    /// Begins to sum values over the ranks, with the same bits on every rank, while this rank computes.
    fn begin_all_reduce(&self, values: Vec<f32>) -> Box<dyn Exchange>;
}

/// An operation that has begun.
pub trait Exchange: fmt::Debug + Send {
    /// Waits for its result.
    fn finish(self: Box<Self>) -> Vec<f32>;
}

/// One that is complete.
impl Exchange for Vec<f32> {
    fn finish(self: Box<Self>) -> Vec<f32> {
        *self
    }
}

/// This process's place in its [`Collective`], and the order of sums over the batch. The default is a single process.
#[derive(Clone, Debug, Default)]
pub struct Ranks(Option<Arc<Group>>);

#[derive(Debug)]
struct Group {
    collective: Arc<dyn Collective>,
    order: SumOrder,
    /// Whether batch norm looks across the ranks.
    batch_norm: bool,
    buckets: Mutex<Buckets>,
}

impl Group {
    fn new(collective: Arc<dyn Collective>, order: SumOrder, batch_norm: bool) -> Self {
        Self { collective, order, batch_norm, buckets: Mutex::default() }
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The order in which sums over the batch are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumOrder {
    /// Each rank's sum, then the collective's order: the fastest. Results for different numbers of ranks differ by
    /// rounding.
    Any,
    /// The sums of [`FIXED_PARTS`] equal parts of the batch, added pairwise: the same bits for any number of ranks that
    /// divides them.
    Fixed,
}

/// Number of parts of a batch that [`SumOrder::Fixed`] adds up.
pub const FIXED_PARTS: usize = 8;

/// The one process of a run that is not divided.
#[derive(Debug)]
struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) {
        all.copy_from_slice(own);
    }

    fn begin_all_reduce(&self, values: Vec<f32>) -> Box<dyn Exchange> {
        Box::new(values)
    }
}

impl Ranks {
    /// The ranks of a collective.
    ///
    /// # Panics
    /// If the order is fixed and the number of ranks does not divide [`FIXED_PARTS`].
    pub fn new(collective: Arc<dyn Collective>, order: SumOrder) -> Self {
        let size = collective.size();
        assert!(
            order == SumOrder::Any || FIXED_PARTS.is_multiple_of(size),
            "{FIXED_PARTS} parts cannot be divided among {size} ranks"
        );
        Self(Some(Arc::new(Group::new(collective, order, true))))
    }

    /// A single process with this order of sums.
    pub fn alone(order: SumOrder) -> Self {
        Self::new(Arc::new(Alone), order)
    }

    /// This process's rank, `0..size`.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |group| group.collective.rank())
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |group| group.collective.size())
    }

    /// Whether this is the process that prints and writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Number of parts of this rank's share of the batch that are summed separately; it must divide the share.
    pub fn parts(&self) -> usize {
        match &self.0 {
            Some(group) if group.order == SumOrder::Fixed => FIXED_PARTS / group.collective.size(),
            _ => 1,
        }
    }

    /// The same ranks, but with batch norm statistics of each rank's images alone.
    ///
    /// # Panics
    /// If the order of sums is fixed: the statistics would depend on the number of ranks.
    pub fn without_batch_norm(self) -> Self {
        let Some(group) = self.0 else { return self };
        assert!(group.order == SumOrder::Any, "sums in a fixed order are over all ranks");
        Self(Some(Arc::new(Group::new(group.collective.clone(), group.order, false))))
    }

    /// The ranks whose images batch norm has statistics of.
    pub(crate) fn of_batch_norm(&self) -> Self {
        let is_shared = self.0.as_ref().is_some_and(|group| group.batch_norm);
        if is_shared { self.clone() } else { Self::default() }
    }

    /// Whether sums over this rank's images are sums over the batch.
    pub(crate) fn is_trivial(&self) -> bool {
        self.size() == 1 && self.parts() == 1
    }

    /// Every rank's values in rank order; all ranks give the same number.
    pub fn all_gather<T: bytemuck::Pod>(&self, own: &[T]) -> Vec<T> {
        let Some(group) = &self.0 else { return own.to_vec() };
        let mut all = vec![T::zeroed(); group.collective.size() * own.len()];
        let (own, bytes) = (bytemuck::cast_slice(own), bytemuck::cast_slice_mut(&mut all));
        observed("all-gather", || group.collective.all_gather(own, bytes));
        all
    }

    /// Every rank's text, in rank order.
    pub fn all_gather_text(&self, own: &str) -> Vec<String> {
        let lengths = self.all_gather(&[own.len() as u64]);
        let longest = lengths.iter().copied().max().unwrap_or_default() as usize;
        let mut padded = own.as_bytes().to_vec();
        padded.resize(longest, 0);
        let all = self.all_gather(&padded);
        let texts = lengths.iter().enumerate().map(|(rank, length)| {
            let text = &all[rank * longest..][..*length as usize];
            String::from_utf8_lossy(text).into_owned()
        });
        texts.collect()
    }

    /// Gathers the rows of all ranks, `batch / size x C -> batch x C`. This rank's rows get the gradient of their
    /// places in the result; the other ranks compute theirs.
    pub fn gather<const C: usize, D: Backend, T: Tape<f32, D>>(
        &self,
        x: Features<D, C, T>,
    ) -> Features<D, C, T> {
        if self.size() == 1 {
            return x;
        }
        let (x, mut tape) = x.split_tape();
        let (own, dev) = (x.shape().0 * C, x.device().clone());
        let first = self.rank() * own;
        let y = dev.tensor_from_vec(self.all_gather(&x.as_vec()), (x.shape().0 * self.size(), Const));
        let y_ghost = y.ghost();
        tape.add_backward_op(move |grads| {
            let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
            dev.add_range(&grad_y, first..first + own, grads.get_or_alloc_mut(&x)?)
        });
        y.put_tape(tape)
    }
}

/// Adds up `parts` parts of equal length, a power of two of them, each two neighbours until one is left: ranks that have added up
/// theirs go on where a rank that has all of them would.
fn sum_parts(values: &mut Vec<f32>, parts: usize) {
    let len = values.len() / parts;
    let mut distance = 1;
    while distance < parts {
        for pair in values.chunks_exact_mut(2 * distance * len) {
            let (first, second) = pair.split_at_mut(distance * len);
            first[..len].iter_mut().zip(second).for_each(|(first, second)| *first += *second);
        }
        distance *= 2;
    }
    values.truncate(len);
}

#[cfg(test)]
mod tests;
