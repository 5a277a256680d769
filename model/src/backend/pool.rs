use dfdx::prelude::*;

/// Sizes of a pooling of square images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolGeometry {
    /// Channels of input and output.
    pub channels: usize,
    /// Height and width of the input.
    pub in_size: usize,
    /// Height and width of the output, `(in_size + 2 pad - kernel) / stride + 1`.
    pub out_size: usize,
    /// Height and width of the window.
    pub kernel: usize,
    /// Distance between neighbouring windows.
    pub stride: usize,
    /// Rows and columns of minus infinity added on each side.
    pub pad: usize,
}

/// The largest value of each window. Ties go to the first in row-major order, as in PyTorch.
pub trait MaxPoolKernel: Storage<f32> {
    /// `y`, of shape `output`.
    fn max_pool<X: Shape, Y: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err>;

    /// Adds `dL/dx`, given `dL/dy`.
    fn max_pool_backward<X: Shape>(
        &self,
        geometry: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}

/// The mean over height and width, `batch x channels x height x width -> batch x channels`.
pub trait GlobalAvgPoolKernel: Storage<f32> {
    /// `y`, of shape `output`.
    fn global_avg_pool<X: Shape, Y: Shape>(
        &self,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err>;

    /// Adds `dL/dx`, given the shape of `x`, its channels and `dL/dy`.
    fn global_avg_pool_backward<X: Shape>(
        &self,
        x: &X,
        channels: usize,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}
