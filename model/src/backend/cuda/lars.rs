use cudarc_of_dfdx::driver::DeviceSlice;
use dfdx::prelude::*;

use super::memory::{Stored, stored, stored_mut, values_mut};
use super::runtime::runtime;
use crate::backend::kernels::lars as kernel;
use crate::backend::{LarsKernel, LarsStep};

impl LarsKernel for Cuda {
    fn lars_update<S: Shape>(
        &self,
        step: &LarsStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let mut sums: Stored<f64> = self.try_alloc_len(kernel::sums_len(p.shape().num_elements()))?;
        let gradient = (g.len() > 0).then(|| stored(g));
        let sums = stored_mut(&mut sums);
        kernel::update(runtime(), step, values_mut(p)?, values_mut(v)?, gradient, sums)?;
        *g = self.try_alloc_len(0)?;
        Ok(())
    }
}
