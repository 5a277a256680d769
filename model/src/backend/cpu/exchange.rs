use std::ops::Range;

use dfdx::prelude::*;

use super::tensor_view::{add, values};
use crate::backend::ExchangeKernel;

impl ExchangeKernel for Cpu {
    fn add_range(&self, from: &Self::Vec, range: Range<usize>, to: &mut Self::Vec) -> Result<(), Self::Err> {
        add(to, &from[range]);
        Ok(())
    }

    fn address<S: Shape>(&self, tensor: &Tensor<S, f32, Self>) -> usize {
        values(tensor).as_ptr().addr()
    }

    fn host(&self, gradient: Self::Vec) -> Result<Vec<f32>, Self::Err> {
        Ok(gradient.to_vec())
    }

    fn gradient(&self, values: &[f32]) -> Result<Self::Vec, Self::Err> {
        let mut gradient = self.try_alloc_len(values.len())?;
        gradient.copy_from_slice(values);
        Ok(gradient)
    }
}
