use cudarc_of_dfdx::driver::DeviceSlice;
use dfdx::prelude::*;

use super::memory::{stored, values_mut};
use super::runtime::runtime;
use crate::backend::kernels::sgd as kernel;
use crate::backend::{SgdKernel, SgdStep};

impl SgdKernel for Cuda {
    fn sgd_update<S: Shape>(
        &self,
        step: &SgdStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let gradient = (g.len() > 0).then(|| stored(g));
        kernel::update(runtime(), step, values_mut(p)?, values_mut(v)?, gradient)?;
        *g = self.try_alloc_len(0)?;
        Ok(())
    }
}
