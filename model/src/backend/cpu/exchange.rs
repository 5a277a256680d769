use std::ops::Range;

use dfdx::prelude::*;

use super::tensor_view::add;
use crate::backend::ExchangeKernel;

impl ExchangeKernel for Cpu {
    fn add_range(
        &self,
        values: &Self::Vec,
        range: Range<usize>,
        to: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        add(to, &values[range]);
        Ok(())
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
