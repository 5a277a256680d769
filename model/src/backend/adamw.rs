use dfdx::prelude::*;

/// The numbers of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// What the parameter is multiplied by: `1 - learning rate * weight decay`.
    pub keep: f32,
    /// How far the mean gradient goes towards the gradient: `1 - beta1`.
    pub first: f32,
    /// How far the mean square goes towards the gradient's: `1 - beta2`.
    pub second: f32,
    /// The learning rate over the first moment's bias correction.
    pub rate: f32,
    /// The root of the second moment's bias correction.
    pub root: f32,
    /// Added to the root of the corrected second moment.
    pub epsilon: f32,
}

/// `m = m + first (g - m)`, `s = s + second (g^2 - s)`, and `p = keep p - rate m / (sqrt(s) / root + epsilon)`, in one pass
/// (PyTorch's AdamW).
pub trait AdamWKernel: Storage<f32> {
    /// Updates the parameter `p` and its moments `m` and `s` by the gradient `g`, and leaves an empty gradient.
    fn adamw_update<S: Shape>(
        &self,
        step: &AdamWStep,
        p: &mut Tensor<S, f32, Self>,
        m: &mut Tensor<(usize,), f32, Self>,
        s: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}
