use std::ops::Range;

use dfdx::prelude::*;

/// What [`Ranks`](crate::collective::Ranks) need of a device besides its operations.
pub trait ExchangeKernel: Storage<f32> {
    /// Adds a range of values to `to`, which has the range's length.
    fn add_range(&self, values: &Self::Vec, range: Range<usize>, to: &mut Self::Vec)
    -> Result<(), Self::Err>;

    /// Where a tensor's first value is.
    fn address<S: Shape>(&self, tensor: &Tensor<S, f32, Self>) -> usize;

    /// A gradient's values on the host.
    fn host(&self, gradient: Self::Vec) -> Result<Vec<f32>, Self::Err>;

    /// A gradient with these values.
    fn gradient(&self, values: &[f32]) -> Result<Self::Vec, Self::Err>;
}
