use dfdx::prelude::*;

/// Negative cosine similarity, `-mean over n of p[n] . z[n] / (|p[n]| |z[n]|)`; norms are at least 1e-8.
pub trait CosineKernel: Storage<f32> {
    /// The scalar.
    fn negative_cosine<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<Tensor<Rank0, f32, Self>, Self::Err>;

    /// Adds `dL/dp`, given the scalar's gradient. The function is symmetric, so `dL/dz` is the same call with `p`
    /// and `z` exchanged.
    fn negative_cosine_backward<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
        grad_output: &Self::Vec,
        grad_p: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}
