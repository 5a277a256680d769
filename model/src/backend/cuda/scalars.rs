use std::ptr::null_mut;

use cudarc::driver::result as driver;
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::error::of_driver;
use super::memory::{Stored, stored_mut, values};
use crate::backend::ScalarsKernel;

impl ScalarsKernel for Cuda {
    /// Gathers them on the device first, because each copy to the host waits.
    fn read(scalars: &[Tensor<Rank0, f32, Self>]) -> Result<Vec<f32>, CudaError> {
        let Some(first) = scalars.first() else { return Ok(Vec::new()) };
        let mut all: Stored = first.device().try_alloc_len(scalars.len())?;
        let all = stored_mut(&mut all);
        let mut found = vec![0.0f32; scalars.len()];
        let fail = |error| of_driver("a copy to the host", error);
        for (i, scalar) in scalars.iter().enumerate() {
            let to = all.address() + (i * size_of::<f32>()) as u64;
            // SAFETY: `all` has a place for each scalar, which is one value.
            unsafe { driver::memcpy_dtod_async(to, values(scalar).address(), size_of::<f32>(), null_mut()) }
                .map_err(fail)?;
        }
        // SAFETY: `found` is as long as `all`.
        unsafe { driver::memcpy_dtoh_sync(&mut found, all.address()) }.map_err(fail)?;
        Ok(found)
    }
}
