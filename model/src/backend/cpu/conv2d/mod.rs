//! Convolution as products of matrices whose right factor is the image itself.
//!
//! An image is copied once into a frame with its padding, laid out so that the pixels under one filter tap of
//! neighbouring windows are neighbours. No matrix of windows is made: a vector of the right factor is a run of the
//! frame, and which run depends on the windows (a start) and on the tap (an offset).

use dfdx::prelude::*;

use super::matrix::Store;
use super::tensor_view::{values, values_mut};
use super::tile::with_kernel;
use crate::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

mod frame;

mod correlation;
use correlation::Correlation;

mod weight_gradient;
use weight_gradient::weight_gradient;

impl Conv2dKernel for Cpu {
    fn conv2d<X: Shape, W: Shape, Y: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let forward = Correlation::forward(geometry, values(weight));
        with_kernel!(kernel => forward.apply(kernel, values(x), Store::Overwrite, values_mut(&mut y)));
        Ok(y)
    }

    fn conv2d_backward<X: Shape, W: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        grad_output: &Self::Vec,
        gradients: Conv2dGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        with_kernel!(kernel => {
            weight_gradient(kernel, geometry, values(x), grad_output, gradients.weight);
            if let Some(grad_x) = gradients.input {
                let backward = Correlation::backward(geometry, values(weight));
                backward.apply(kernel, grad_output, Store::Add, grad_x);
            }
        });
        Ok(())
    }
}
