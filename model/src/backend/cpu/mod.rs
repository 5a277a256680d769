//! The operations on dfdx's `Cpu`, on rayon's current pool.
//!
//! Work is cut into parts by the shapes alone, never by the number of threads, and partial sums are added in a fixed
//! order: results are the same bits for any number of threads.

pub mod profile;

mod tensor_view;

mod matrix;

mod tile;

mod product;

mod conv2d;

mod batch_norm;

mod pool;

mod linear;

mod cosine;

mod rows;

mod sgd;

mod feed;

/// Runs a loop compiled for the widest vectors that this machine has.
#[inline(always)]
fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
