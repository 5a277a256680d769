//! Layer-wise adaptive rate scaling (You et al. 2017), as SimCLR, BYOL and Barlow Twins use it.

use dfdx::prelude::*;

use super::{Kept, Memory, Rule};
use crate::backend::{Backend, LarsStep, SgdStep};
use crate::module::{AnyTensor, Step};

/// `u = g + weight_decay p`, `v = momentum v + trust |p| / |u| u`, `p = p - rate v`, with the norms of the whole
/// tensor; the ratio is 1 where either norm is 0. One-dimensional tensors (biases and batch norm's parameters) have
/// neither the ratio nor weight decay: `v = momentum v + g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LarsConfig {
    /// Momentum: 0.9.
    pub momentum: f32,
    /// L2 penalty: 1e-6 in SimCLR, 1.5e-6 in BYOL.
    pub weight_decay: f32,
    /// The trust coefficient `eta`: 0.001.
    pub trust: f32,
}

pub(super) const MEMORY: Memory = Memory { rule: "lars", values: &[".lars_velocity"], steps: None };

impl<D: Backend> Rule<D> for LarsConfig {
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
        let Self { momentum, weight_decay, trust } = *self;
        let step = if parameter.sizes().len() > 1 {
            Step::Lars(LarsStep { learning_rate, momentum, weight_decay, trust })
        } else {
            Step::Sgd(SgdStep { learning_rate, momentum, weight_decay: 0.0 })
        };
        parameter.update(&step, &mut kept.values, grads)
    }
}
