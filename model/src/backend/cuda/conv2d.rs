//! Convolution by cuDNN, whose fastest algorithm is searched once per shape and direction.

use std::collections::HashMap;
use std::ptr::from_ref;

use cudarc::cudnn::CudnnError;
use cudarc::cudnn::result as cudnn;
use cudarc::cudnn::sys;
use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::Precision;
use super::bf16::Factor;
use super::exchange::ONE_RANK;
use super::memory::{Stored, begin, new_values, stored, stored_mut, values};
use super::runtime::{Runtime, locked, runtime};
use crate::backend::kernels::bf16::{Store, convert};
use crate::backend::kernels::{Layout, Values};
use crate::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel, Format};

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
        let problem = Problem::of(geometry, x);
        let mut y = self.try_zeros_like(&output)?;
        let filters = problem.filters(self, values(weight))?;
        let from = [values(x).address(), filters.address()];
        problem.run(Direction::Forward, from, new_values(&mut y).address(), 0.0)?;
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
        assert!(gradients.parts == 1, "{ONE_RANK}");
        let problem = Problem::of(geometry, x);
        let (x, grad_y) = (values(x).address(), stored(grad_output).address());
        let is_first = begin(self, gradients.weight, geometry.weight_len())?;
        let to = stored_mut(gradients.weight);
        match problem.format {
            Format::F32 => {
                let beta = if is_first { 0.0 } else { 1.0 };
                problem.run(Direction::Filter, [x, grad_y], to.address(), beta)?;
            }
            Format::Bf16 => {
                let layout = problem.weight().in_format(Format::Bf16);
                let mut gradient: Stored = self.try_alloc_len(layout.len())?;
                problem.run(Direction::Filter, [x, grad_y], stored_mut(&mut gradient).address(), 0.0)?;
                convert(runtime(), &layout, stored(&gradient), to, Store::Add)?;
            }
        }
        if let Some(input) = gradients.input {
            let filters = problem.filters(self, values(weight))?;
            let from = [filters.address(), grad_y];
            problem.run(Direction::Data, from, stored_mut(input).address(), 1.0)?;
        }
        Ok(())
    }
}

/// A convolution of a batch in a format, or one of its gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Problem {
    geometry: Conv2dGeometry,
    batch: usize,
    format: Format,
}

impl Problem {
    fn of<X: Shape>(geometry: &Conv2dGeometry, x: &Tensor<X, f32, Cuda>) -> Self {
        let layout = Layout::of(x.shape().concrete().as_ref(), geometry.in_channels);
        // cuDNN counts as the kernels do, and its refusal would not say why.
        let outputs = Layout { channels: geometry.out_channels, ..layout };
        let _counted = [layout.counts(), outputs.with_plane(geometry.out_size * geometry.out_size).counts()];
        Self { geometry: *geometry, batch: layout.batch, format: layout.format }
    }

    /// How the weight lies.
    fn weight(&self) -> Layout {
        let Conv2dGeometry { in_channels, out_channels, kernel, .. } = self.geometry;
        let plane = kernel * kernel;
        Layout { format: Format::F32, batch: out_channels, channels: in_channels, plane }
    }

    /// The weight in the format that the images have.
    fn filters<'a>(&self, dev: &Cuda, weight: Values<'a>) -> Result<Factor<'a>, CudaError> {
        Factor::of(dev, &self.weight(), weight, self.format)
    }

    /// `to = result + beta to`, from operands in cuDNN's order.
    fn run(&self, direction: Direction, [a, b]: [u64; 2], to: u64, beta: f32) -> Result<(), CudaError> {
        if self.batch == 0 {
            return Ok(());
        }
        let runtime = runtime();
        let mut plans = locked(&runtime.plans);
        let plan = plans.get(runtime, direction, self)?;
        let workspace = runtime.workspace(plan.workspace)?;
        let (a, b, to) = (a as *const _, b as *const _, to as *mut _);
        let scales = (from_ref(&1.0f32).cast(), from_ref(&beta).cast());
        // SAFETY: the plan's descriptors are those of the operands, which are on the device; scales are read at once.
        unsafe { plan.run(runtime.cudnn, scales, [a, b], to, workspace.address as *mut _) }
            .map_err(|error| self.failed(direction, error))
    }

    /// cuDNN's failure.
    ///
    /// # Panics
    /// Always: dfdx's error has no place for it. [`guarded`](super::guarded) makes one of it.
    fn failed(&self, direction: Direction, error: CudnnError) -> CudaError {
        panic!("the device failed: {direction:?} of {self:?}: {error:?}")
    }
}
