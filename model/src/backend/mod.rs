//! The operations that a device must offer besides dfdx's own.
//!
//! Each trait is one operation: its forward pass, and a backward pass that **adds** to the given gradients. A
//! parameter's empty gradient stands for zeros; the first operation that adds to it allocates it. Shapes are checked by
//! the layers, so kernels are generic over them. [`cpu`] implements the traits for dfdx's `Cpu`, and with the feature
//! `cuda` the module `cuda` does so for dfdx's `Cuda`; nothing above this module changes.

use std::fmt::Display;

use dfdx::prelude::*;

mod format;
pub use format::{Format, FormatKernel};

mod conv2d;
pub use conv2d::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

mod batch_norm;
pub use batch_norm::{
    Activation, Affine, BatchNormGradients, BatchNormKernel, BatchNormSaved, BatchStatistics, Normalization,
};

mod pool;
pub use pool::{GlobalAvgPoolKernel, MaxPoolKernel, PoolGeometry};

mod linear;
pub use linear::{LinearGradients, LinearKernel};

mod cosine;
pub use cosine::CosineKernel;

mod rows;
pub use rows::RowsKernel;

mod scalars;
pub use scalars::ScalarsKernel;

mod exchange;
pub use exchange::ExchangeKernel;

mod sgd;
pub use sgd::{SgdKernel, SgdStep};

mod lars;
pub use lars::{LarsKernel, LarsStep};

mod adamw;
pub use adamw::{AdamWKernel, AdamWStep};

mod feed;
pub use feed::{FeedKernel, Levels, Pixels, ViewBytes};

pub mod cpu;

#[cfg(any(feature = "cuda", test))]
mod kernels;

#[cfg(feature = "cuda")]
pub mod cuda;

/// A device that can train: dfdx's operations and this crate's.
pub trait Backend:
    Device<f32>
    + FormatKernel
    + Conv2dKernel
    + BatchNormKernel
    + MaxPoolKernel
    + GlobalAvgPoolKernel
    + LinearKernel
    + CosineKernel
    + RowsKernel
    + ScalarsKernel
    + ExchangeKernel
    + SgdKernel
    + LarsKernel
    + AdamWKernel
    + FeedKernel
{
}

impl Backend for Cpu {}

/// A gradient's values on a device.
pub(crate) type GradientVec<D> = <D as Storage<f32>>::Vec;

/// Takes a gradient out of its slot, so that the memory is freed as soon as its operation has run backward.
pub(crate) fn take_gradient<D: Storage<f32>>(slot: &mut D::Vec, dev: &D) -> Result<D::Vec, D::Err> {
    Ok(std::mem::replace(slot, dev.try_alloc_len(0)?))
}

/// The result of a forward kernel. A device fails only for want of memory, where dfdx's own operators panic too.
pub(crate) fn computed<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("the device failed: {error}"))
}
