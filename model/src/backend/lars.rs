use dfdx::prelude::*;

/// Parameters of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LarsStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f32,
    /// Factor of the ratio of the norms.
    pub trust: f32,
}

impl LarsStep {
    /// What the gradient and its penalty are multiplied by, given the squares of the norms of the parameter and of these.
    #[inline]
    pub(crate) fn ratio(&self, parameter: f64, gradient: f64) -> f32 {
        if parameter > 0.0 && gradient > 0.0 {
            (f64::from(self.trust) * parameter.sqrt() / gradient.sqrt()) as f32
        } else {
            1.0
        }
    }
}

/// `v = momentum v + r u`, then `p = p - learning_rate v`, where `u = g + weight_decay p` and `r = trust |p| / |u|`, or 1 where a
/// norm is 0 (You et al. 2017).
pub trait LarsKernel: Storage<f32> {
    /// Updates the parameter `p` and its velocity `v` by the gradient `g`, and leaves an empty gradient.
    fn lars_update<S: Shape>(
        &self,
        step: &LarsStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}
