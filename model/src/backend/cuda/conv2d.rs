//! Convolution by cuDNN, whose fastest way is looked for once for each shape and direction.

use std::collections::HashMap;
use std::ptr::from_ref;

use cudarc::cudnn::CudnnError;
use cudarc::cudnn::result as cudnn;
use cudarc::cudnn::sys;
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::Precision;
use super::memory::{begin, new_values, stored, stored_mut, values};
use super::runtime::{Runtime, locked, runtime};
use crate::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

mod descriptors;
use descriptors::Descriptors;

mod plan;
use plan::Direction;
pub(super) use plan::Plans;

impl Conv2dKernel for Cuda {
    fn conv2d<X: Shape, W: Shape, Y: Shape>(
        &self,
        geometry: &Conv2dGeometry,
        x: &Tensor<X, f32, Self>,
        weight: &Tensor<W, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let (x, weight) = (values(x), values(weight));
        let batch = x.len() / geometry.in_len();
        let operands = Operands { from: [x.address(), weight.address()], to: new_values(&mut y).address() };
        run(Direction::Forward, geometry, batch, operands, 0.0)?;
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
        let (x, weight, grad_y) = (values(x), values(weight), stored(grad_output));
        let batch = x.len() / geometry.in_len();
        let is_first = begin(self, gradients.weight, geometry.weight_len())?;
        let to = stored_mut(gradients.weight).address();
        let operands = Operands { from: [x.address(), grad_y.address()], to };
        run(Direction::Filter, geometry, batch, operands, if is_first { 0.0 } else { 1.0 })?;
        if let Some(input) = gradients.input {
            let to = stored_mut(input).address();
            let operands = Operands { from: [weight.address(), grad_y.address()], to };
            run(Direction::Data, geometry, batch, operands, 1.0)?;
        }
        Ok(())
    }
}

/// Addresses of what is read, in cuDNN's order, and written.
struct Operands {
    from: [u64; 2],
    to: u64,
}

/// `to = result + beta to`.
fn run(
    direction: Direction,
    geometry: &Conv2dGeometry,
    batch: usize,
    operands: Operands,
    beta: f32,
) -> Result<(), CudaError> {
    if batch == 0 {
        return Ok(());
    }
    let runtime = runtime();
    let mut plans = locked(&runtime.plans);
    let plan = plans.get(runtime, direction, geometry, batch)?;
    let workspace = runtime.workspace(plan.workspace)?;
    let Operands { from: [a, b], to } = operands;
    let (a, b, to) = (a as *const _, b as *const _, to as *mut _);
    let scales = (from_ref(&1.0f32).cast(), from_ref(&beta).cast());
    // SAFETY: the plan's descriptors are those of the operands, which are on the device; scales are read at once.
    unsafe { plan.run(runtime.cudnn, scales, [a, b], to, workspace.address as *mut _) }
        .map_err(|error| failed(direction, geometry, batch, error))
}

/// cuDNN's failure.
///
/// # Panics
/// Always: dfdx's error has no place for it. [`guarded`](super::guarded) makes one of it.
fn failed(direction: Direction, geometry: &Conv2dGeometry, batch: usize, error: CudnnError) -> CudaError {
    panic!("the device failed: {direction:?} convolution of {batch} x {geometry:?}: {error:?}")
}
