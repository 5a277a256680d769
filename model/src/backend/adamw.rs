use dfdx::prelude::*;

/// Parameters of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Factor of the parameter: `1 - learning rate * weight decay`.
    pub keep: f32,
    /// Weight of the gradient in the first moment: `1 - beta1`.
    pub first: f32,
    /// Weight of the squared gradient in the second moment: `1 - beta2`.
    pub second: f32,
    /// The learning rate divided by the first moment's bias correction.
    pub rate: f32,
    /// The square root of the second moment's bias correction.
    pub root: f32,
    /// Added to the square root of the corrected second moment.
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
