//! Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch's `AdamW`.

use dfdx::prelude::*;

use super::{Kept, Memory, Rule};
use crate::backend::{AdamWStep, Backend};
use crate::module::{AnyTensor, Step};

/// At step `t`, from 1: `p = (1 - rate weight_decay) p`, `m = beta1 m + (1 - beta1) g`, `s = beta2 s + (1 - beta2)
/// g^2`, and `p = p - rate m' / (sqrt(s') + epsilon)` with `m' = m / (1 - beta1^t)` and `s' = s / (1 - beta2^t)`. All
/// parameters decay, including biases and batch norm's, as in PyTorch with one parameter group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay rates of the mean gradient and of the mean squared gradient: 0.9 and 0.999.
    pub betas: (f64, f64),
    /// Added to the square root: 1e-8.
    pub epsilon: f32,
    /// Weight decay of all parameters, multiplied by the rate: 0.01 in PyTorch.
    pub weight_decay: f64,
}

pub(super) const MEMORY: Memory =
    Memory { rule: "adamw", values: &[".first_moment", ".second_moment"], steps: Some(".steps") };

impl AdamWConfig {
    /// The numbers of step `t`, from 1, which are computed in double precision.
    fn step(&self, t: u64, learning_rate: f32) -> AdamWStep {
        let Self { betas: (beta1, beta2), epsilon, weight_decay } = *self;
        let rate = f64::from(learning_rate);
        let left_of = |beta: f64| 1.0 - libm::pow(beta, t as f64);
        AdamWStep {
            keep: (1.0 - rate * weight_decay) as f32,
            first: (1.0 - beta1) as f32,
            second: (1.0 - beta2) as f32,
            rate: (rate / left_of(beta1)) as f32,
            root: left_of(beta2).sqrt() as f32,
            epsilon,
        }
    }
}

impl<D: Backend> Rule<D> for AdamWConfig {
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
        let step = Step::AdamW(self.step(kept.steps, learning_rate));
        parameter.update(&step, &mut kept.values, grads)
    }
}
