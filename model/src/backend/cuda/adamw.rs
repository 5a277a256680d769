use cudarc_of_dfdx::driver::DeviceSlice;
use dfdx::prelude::*;

use super::memory::{stored, values_mut};
use super::runtime::runtime;
use crate::backend::kernels::adamw as kernel;
use crate::backend::{AdamWKernel, AdamWStep};

impl AdamWKernel for Cuda {
    fn adamw_update<S: Shape>(
        &self,
        step: &AdamWStep,
        p: &mut Tensor<S, f32, Self>,
        m: &mut Tensor<(usize,), f32, Self>,
        s: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let gradient = (g.len() > 0).then(|| stored(g));
        kernel::update(runtime(), step, values_mut(p)?, [values_mut(m)?, values_mut(s)?], gradient)?;
        *g = self.try_alloc_len(0)?;
        Ok(())
    }
}
