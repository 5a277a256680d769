//! Stochastic gradient descent with momentum, as PyTorch's `SGD`.

use dfdx::prelude::*;

use super::{Kept, Memory, Rule};
use crate::backend::{Backend, SgdStep};
use crate::module::{AnyTensor, Step};

/// `v = momentum v + (g + weight_decay p)`, `p = p - rate v`; `v` starts at 0, so the first `v` is the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Momentum: 0.9 in both recipes.
    pub momentum: f32,
    /// L2 penalty on all parameters, including biases and batch norm's: 1e-4 on ImageNet, 5e-4 on CIFAR-10.
    pub weight_decay: f32,
}

pub(super) const MEMORY: Memory = Memory { rule: "sgd", values: &[""], steps: None };

impl<D: Backend> Rule<D> for SgdConfig {
    fn memory(&self) -> Memory {
        MEMORY
    }

    fn update(
        &self,
        parameter: &mut dyn AnyTensor<D>,
        kept: &mut Kept<D>,
        grads: &mut Gradients<f32, D>,
        learning_rate: f32,
    ) -> Result<(), D::Err> {
        let Self { momentum, weight_decay } = *self;
        let step = Step::Sgd(SgdStep { learning_rate, momentum, weight_decay });
        parameter.update(&step, &mut kept.values, grads)
    }
}
