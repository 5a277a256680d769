//! bf16 on the device: images in the device's format, and the factors of products.

use dfdx::prelude::*;
use dfdx::tensor::CudaError;

use super::Precision;
use super::memory::{Stored, new_values, stored, stored_mut, values};
use super::runtime::runtime;
use crate::backend::kernels::bf16::{Store, convert};
use crate::backend::kernels::{Layout, Values};
use crate::backend::{Format, FormatKernel};

impl FormatKernel for Cuda {
    fn image_format(&self) -> Format {
        match runtime().precision() {
            Precision::F32 | Precision::Tf32 => Format::F32,
            Precision::Bf16 => Format::Bf16,
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

/// A factor of a product: filters, a matrix.
pub(super) enum Factor<'a> {
    /// In single precision.
    F32(Values<'a>),
    /// So many values, as bf16.
    Bf16(Stored, usize),
}

impl<'a> Factor<'a> {
    /// The values, which lie as `layout` says in single precision, in a format.
    pub(super) fn of(
        dev: &Cuda,
        layout: &Layout,
        single: Values<'a>,
        format: Format,
    ) -> Result<Self, CudaError> {
        Ok(match format {
            Format::F32 => Self::F32(single),
            Format::Bf16 => {
                let mut half: Stored = dev.try_alloc_len(layout.in_format(Format::Bf16).len())?;
                convert(runtime(), layout, single, stored_mut(&mut half), Store::Overwrite)?;
                Self::Bf16(half, single.len())
            }
        })
    }

    /// Where the values are.
    pub(super) fn address(&self) -> u64 {
        match self {
            Self::F32(values) => values.address(),
            Self::Bf16(words, _) => stored(words).address(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(_, len) => *len,
        }
    }
}
