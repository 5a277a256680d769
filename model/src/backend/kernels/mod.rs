//! Launches the kernels of `model/cuda/*.cu`: the only code that knows their arguments and grids.
//!
//! A [`Queue`] belongs to a device or to the host. In tests, the same sources are compiled as C++, so indices,
//! barriers, arguments and grids are compared with the CPU's operations without a GPU.

mod values;
pub(crate) use values::{Values, ValuesMut};

mod layout;
pub(crate) use layout::Layout;

mod storage;
#[cfg(feature = "cuda")]
pub(crate) use storage::Storage;

pub(crate) mod adamw;
pub(crate) mod batch_norm;
pub(crate) mod bf16;
pub(crate) mod cosine;
pub(crate) mod lars;
pub(crate) mod linear;
pub(crate) mod normalise;
pub(crate) mod pool;
pub(crate) mod rows;
pub(crate) mod sgd;

#[cfg(test)]
mod host;

/// The sources and the kernels in each.
pub(crate) const SOURCES: [(&str, &[&str]); 12] = [
    ("adamw", &["adamw"]),
    (
        "avg_pool",
        &[
            "global_avg_pool",
            "global_avg_pool_gradient",
            "global_avg_pool_bf16",
            "global_avg_pool_bf16_gradient",
        ],
    ),
    (
        "batch_norm",
        &[
            "batch_norm_sums",
            "batch_norm_statistics",
            "inverse_std",
            "batch_norm",
            "batch_norm_gradient_sums",
            "batch_norm_gradient_terms",
            "batch_norm_gradient",
        ],
    ),
    (
        "batch_norm_bf16",
        &[
            "batch_norm_bf16_sums",
            "batch_norm_bf16_statistics",
            "batch_norm_bf16",
            "batch_norm_bf16_gradient_sums",
            "batch_norm_bf16_gradient",
        ],
    ),
    ("bf16", &["bf16_of_f32", "f32_of_bf16"]),
    ("bias", &["bias_rows", "bias_gradient"]),
    ("cosine", &["cosines", "negative_mean", "negative_cosine_gradient"]),
    ("lars", &["lars_squares", "lars"]),
    ("max_pool", &["max_pool", "max_pool_gradient", "max_pool_bf16", "max_pool_bf16_gradient"]),
    ("normalise", &["normalise"]),
    ("rows", &["gather_rows", "scatter_rows"]),
    ("sgd", &["sgd"]),
];

/// Threads of a block; `THREADS` in `kernel.h`.
pub(crate) const THREADS: u32 = 256;

/// Where kernels are launched, one after the other.
pub(crate) trait Queue {
    /// Why a launch fails.
    type Err;

    /// Launches a kernel on `grid` blocks (x, y) of [`THREADS`] threads.
    ///
    /// # Safety
    /// The arguments are the kernel's, and lead to as many values as it touches.
    unsafe fn launch(
        &self,
        kernel: &'static str,
        grid: (u32, u32),
        arguments: &[Argument],
    ) -> Result<(), Self::Err>;
}

/// A kernel's argument: 4 or 8 bytes, the lowest first.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Argument(u64);

impl Argument {
    /// Where its bytes are.
    pub(crate) fn address(&self) -> *mut std::ffi::c_void {
        std::ptr::from_ref(&self.0).cast_mut().cast()
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self(u64::from(value))
    }
}

impl From<f32> for Argument {
    fn from(value: f32) -> Self {
        Self(u64::from(value.to_bits()))
    }
}

impl<T> From<Values<'_, T>> for Argument {
    fn from(values: Values<'_, T>) -> Self {
        Self(values.address())
    }
}

impl<T> From<&mut ValuesMut<'_, T>> for Argument {
    fn from(values: &mut ValuesMut<'_, T>) -> Self {
        Self(values.address())
    }
}

/// A null pointer for `None`.
impl<T> From<Option<Values<'_, T>>> for Argument {
    fn from(values: Option<Values<'_, T>>) -> Self {
        Self(values.map_or(0, |values| values.address()))
    }
}

/// A null pointer for `None`.
impl<T> From<&mut Option<ValuesMut<'_, T>>> for Argument {
    fn from(values: &mut Option<ValuesMut<'_, T>>) -> Self {
        Self(values.as_ref().map_or(0, ValuesMut::address))
    }
}

/// A number of values as kernels count them.
///
/// # Panics
/// If it is 2^31 or more: kernels count with 32 bits.
fn count(n: usize) -> u32 {
    assert!(n < 1 << 31, "a tensor of {n} values is larger than the kernels count: lower --batch-size");
    n as u32
}

/// The grid of a kernel that shares out `n` values among its threads.
fn grid_of(n: usize) -> (u32, u32) {
    /// Several waves of blocks on the largest devices; a thread then takes more than one value.
    const MOST_BLOCKS: u32 = 1 << 14;
    (count(n).div_ceil(THREADS).min(MOST_BLOCKS), 1)
}

/// Launches a kernel with these arguments, unless the grid is empty.
macro_rules! launch {
    ($queue:expr, $kernel:expr, $grid:expr, [$($argument:expr),* $(,)?]) => {{
        let grid: (u32, u32) = $grid;
        if grid.0 == 0 {
            Ok(())
        } else {
            $queue.launch($kernel, grid, &[$($crate::backend::kernels::Argument::from($argument)),*])
        }
    }};
}
use launch;
