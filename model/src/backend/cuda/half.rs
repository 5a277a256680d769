//! bf16 on the device: images in the device's format, and what products take of parameters and features.

use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::Precision;
use super::memory::{Stored, new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::kernels::half::{Store, convert};
use crate::backend::kernels::{Layout, Values};
use crate::backend::{Format, FormatKernel};

impl FormatKernel for Cuda {
    fn image_format(&self) -> Format {
        match runtime().precision() {
            Precision::F32 | Precision::Tf32 => Format::Single,
            Precision::Bf16 => Format::Half,
        }
    }

    fn convert<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let layout = Layout::of(x.shape().concrete().as_ref(), channels);
        convert(runtime(), &layout, values(x), new_values(&mut y), Store::Overwrite)?;
        Ok(y)
    }

    fn convert_backward<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        (_, y): (&X, &Y),
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let layout = Layout::of(y.concrete().as_ref(), channels);
        convert(runtime(), &layout, stored(grad_output), stored_mut(grad_x), Store::Add)
    }
}

/// Values in single precision, which lie as `layout` says, as bf16.
pub(super) fn rounded(dev: &Cuda, layout: &Layout, single: Values<'_>) -> Result<Stored, CudaError> {
    let mut half: Stored = dev.try_alloc_len(layout.in_format(Format::Half).len())?;
    convert(runtime(), layout, single, stored_mut(&mut half), Store::Overwrite)?;
    Ok(half)
}
