use dfdx::prelude::*;

use crate::collective::Ranks;

/// The activation after a normalisation, fused with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// `max(0, .)`.
    Relu,
}

/// A normalisation `y = act(scale (x - mean) / sqrt(var + eps) + shift + residual)` over the channels `C` of `S`.
pub struct Normalization<'a, S: Shape, C: Shape, D: Storage<f32>> {
    /// `x`, of shape `batch x channels` or `batch x channels x height x width`.
    pub x: &'a Tensor<S, f32, D>,
    /// Scale and shift, one of each per channel; `None` means 1 and 0.
    pub affine: Option<Affine<'a, C, D>>,
    /// A tensor to add before the activation.
    pub residual: Option<&'a Tensor<S, f32, D>>,
    /// The activation.
    pub activation: Activation,
}

/// Scale and shift, one of each per channel.
pub type Affine<'a, C, D> = (&'a Tensor<C, f32, D>, &'a Tensor<C, f32, D>);

/// A batch's statistics over batch and space, one value per channel.
pub struct BatchStatistics<C: Shape, D: Storage<f32>> {
    /// The mean.
    pub mean: Tensor<C, f32, D>,
    /// `1 / sqrt(var + eps)` with the biased variance.
    pub inv_std: Tensor<C, f32, D>,
}

/// What the backward pass needs from the forward pass.
pub struct BatchNormSaved<'a, S: Shape, C: Shape, D: Storage<f32>> {
    /// The input.
    pub x: &'a Tensor<S, f32, D>,
    /// The output, if the activation cannot be inverted without it: after a residual sum.
    pub y: Option<&'a Tensor<S, f32, D>>,
    /// The activation.
    pub activation: Activation,
    /// The batch's statistics.
    pub statistics: &'a BatchStatistics<C, D>,
    /// Scale and shift.
    pub affine: Option<Affine<'a, C, D>>,
}

/// Where a normalisation's backward pass adds its results.
pub struct BatchNormGradients<'a, D: Storage<f32>> {
    /// `dL/dx`; `None` if the caller takes it from the memory of `dL/dy`.
    pub input: Option<&'a mut D::Vec>,
    /// `dL/dresidual`.
    pub residual: Option<&'a mut D::Vec>,
    /// `dL/dscale` and `dL/dshift`.
    pub affine: Option<(&'a mut D::Vec, &'a mut D::Vec)>,
}

/// Batch normalisation as in PyTorch, fused with a residual sum and an activation.
pub trait BatchNormKernel: Storage<f32> {
    /// PyTorch's default `eps`.
    const EPSILON: f32 = 1e-5;
    /// The weight of a new batch in the running statistics, PyTorch's default.
    const MOMENTUM: f32 = 0.1;

    /// Normalises by the statistics of the batch over all ranks, and updates the running mean and (unbiased) variance.
    #[allow(clippy::type_complexity)]
    fn batch_norm_train<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &mut Tensor<C, f32, Self>,
        running_var: &mut Tensor<C, f32, Self>,
        ranks: &Ranks,
    ) -> Result<(Tensor<S, f32, Self>, BatchStatistics<C, Self>), Self::Err>;

    /// Normalises by the running statistics.
    fn batch_norm_eval<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &Tensor<C, f32, Self>,
        running_var: &Tensor<C, f32, Self>,
    ) -> Result<Tensor<S, f32, Self>, Self::Err>;

    /// Adds the gradients, given `dL/dy`, and leaves `dL/dx` in its place. Those of scale and shift cover only this
    /// rank's images.
    fn batch_norm_backward<S: Shape, C: Shape>(
        &self,
        saved: &BatchNormSaved<'_, S, C, Self>,
        grad_output: &mut Self::Vec,
        gradients: BatchNormGradients<'_, Self>,
        ranks: &Ranks,
    ) -> Result<(), Self::Err>;
}
