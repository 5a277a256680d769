use dfdx::prelude::*;

/// Copies scalars to the host.
pub trait ScalarsKernel: Storage<f32> {
    /// The values of some scalars. A device that works ahead of the caller is waited for once, not once for each.
    fn read(scalars: &[Tensor<Rank0, f32, Self>]) -> Result<Vec<f32>, Self::Err>;
}
