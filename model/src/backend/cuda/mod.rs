//! The operations on dfdx's `Cuda`: convolution by cuDNN, the linear layer by cuBLAS, the rest by the project's own
//! kernels, all on dfdx's stream, and therefore in order.
//!
//! [`start`] gives the device, one per process. docs/cuda.md describes how to build it and how it was tested.

mod late;

mod error;
pub use error::{DeviceError, StartError, guarded};

mod runtime;
use runtime::Runtime;
pub use runtime::start;

mod memory;

mod bf16;

mod conv2d;

mod linear;

mod batch_norm;

mod pool;

mod cosine;

mod rows;

mod scalars;

mod exchange;

mod sgd;

mod lars;

mod adamw;

mod feed;

/// The precision of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Single precision throughout.
    F32,
    /// Factors rounded to 10 bits of mantissa, on tensor cores; sums in single precision.
    Tf32,
    /// Images between layers, and the factors of convolutions and linear layers, in bf16, on tensor cores; sums,
    /// statistics and parameters in single precision.
    Bf16,
}

impl super::Backend for dfdx::tensor::Cuda {}
