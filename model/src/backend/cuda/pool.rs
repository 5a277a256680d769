use dfdx::prelude::*;

use super::memory::{new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::kernels::pool as kernel;
use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel, PoolGeometry};

impl MaxPoolKernel for Cuda {
    fn max_pool<X: Shape, Y: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        kernel::max_pool(runtime(), geometry, values(x), new_values(&mut y))?;
        Ok(y)
    }

    fn max_pool_backward<X: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        kernel::max_pool_gradient(runtime(), geometry, values(x), stored(grad_output), stored_mut(grad_x))
    }
}

impl GlobalAvgPoolKernel for Cuda {
    fn global_avg_pool<X: Shape, Y: Shape>(
        &self,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        kernel::global_avg_pool(runtime(), values(x), new_values(&mut y))?;
        Ok(y)
    }

    fn global_avg_pool_backward(
        &self,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        kernel::global_avg_pool_gradient(runtime(), stored(grad_output), stored_mut(grad_x))
    }
}
