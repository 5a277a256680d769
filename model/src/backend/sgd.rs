use dfdx::prelude::*;

/// Parameters of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f32,
}

/// `v = momentum v + (g + weight_decay p)`, then `p = p - learning_rate v`, in one pass (PyTorch's SGD).
pub trait SgdKernel: Storage<f32> {
    /// Updates the parameter `p` and its velocity `v` by the gradient `g`, and leaves an empty gradient.
    fn sgd_update<S: Shape>(
        &self,
        step: &SgdStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}
