use std::ops::Range;

use dfdx::prelude::*;

use crate::backend::ExchangeKernel;

/// What is said of several ranks, or of sums in parts, on this device.
pub(super) const ONE_RANK: &str = "several ranks and sums in a fixed order are the CPU's so far";

/// # Panics
/// Always: nothing is exchanged by one rank, and there is no other.
impl ExchangeKernel for Cuda {
    fn add_range(&self, _: &Self::Vec, _: Range<usize>, _: &mut Self::Vec) -> Result<(), Self::Err> {
        unreachable!("{ONE_RANK}")
    }

    fn address<S: Shape>(&self, _: &Tensor<S, f32, Self>) -> usize {
        unreachable!("{ONE_RANK}")
    }

    fn host(&self, _: Self::Vec) -> Result<Vec<f32>, Self::Err> {
        unreachable!("{ONE_RANK}")
    }

    fn gradient(&self, _: &[f32]) -> Result<Self::Vec, Self::Err> {
        unreachable!("{ONE_RANK}")
    }
}
