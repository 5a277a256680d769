use dfdx::prelude::*;

/// Where a linear layer's backward pass adds its results.
pub struct LinearGradients<'a, D: Storage<f32>> {
    /// `dL/dx = dL/dy W`.
    pub x: &'a mut D::Vec,
    /// `dL/dW = (dL/dy)^T x`.
    pub weight: &'a mut D::Vec,
    /// `dL/db`, the sum of `dL/dy` over the batch.
    pub bias: Option<&'a mut D::Vec>,
    /// Number of equal parts of the batch; the parameters' gradients of each are added to their own section.
    pub parts: usize,
}

/// `y = x W^T + b` with `x` of shape `batch x in` and `W` of shape `out x in`, as PyTorch stores it.
pub trait LinearKernel: Storage<f32> {
    /// `y`.
    #[allow(clippy::type_complexity)]
    fn linear<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        bias: Option<&Tensor<Rank1<OUT>, f32, Self>>,
    ) -> Result<Tensor<(usize, Const<OUT>), f32, Self>, Self::Err>;

    /// Adds the gradients, given `dL/dy`.
    fn linear_backward<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        grad_output: &Self::Vec,
        gradients: LinearGradients<'_, Self>,
    ) -> Result<(), Self::Err>;
}
