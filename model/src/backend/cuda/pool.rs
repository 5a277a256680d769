use dfdx::prelude::*;

use super::memory::{new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::kernels::{Layout, pool as kernel};
use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel, PoolGeometry};

impl MaxPoolKernel for Cuda {
    fn max_pool<X: Shape, Y: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        kernel::max_pool(
            runtime(),
            &layout(x.shape(), geometry.channels),
            geometry,
            values(x),
            new_values(&mut y),
        )?;
        Ok(y)
    }

    fn max_pool_backward<X: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let layout = layout(x.shape(), geometry.channels);
        let (x, grad_y, grad_x) = (values(x), stored(grad_output), stored_mut(grad_x));
        kernel::max_pool_gradient(runtime(), &layout, geometry, x, grad_y, grad_x)
    }
}

impl GlobalAvgPoolKernel for Cuda {
    fn global_avg_pool<X: Shape, Y: Shape>(
        &self,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let layout = layout(x.shape(), output.concrete().as_ref()[1]);
        kernel::global_avg_pool(runtime(), &layout, values(x), new_values(&mut y))?;
        Ok(y)
    }

    fn global_avg_pool_backward<X: Shape>(
        &self,
        x: &X,
        channels: usize,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let (grad_y, grad_x) = (stored(grad_output), stored_mut(grad_x));
        kernel::global_avg_pool_gradient(runtime(), &layout(x, channels), grad_y, grad_x)
    }
}

fn layout<S: Shape>(shape: &S, channels: usize) -> Layout {
    Layout::of(shape.concrete().as_ref(), channels)
}
