use dfdx::prelude::*;

use crate::backend::{Activation, Backend};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::layers::{BatchNorm1d, Linear};
use crate::module::{Module, NamedTensors, Visitor, VisitorMut};
use crate::tensors::{Features, Taped};

/// A layer of a head, `batch x IN -> batch x OUT`: linear and batch norm, or linear with a bias.
///
/// It takes two places in PyTorch's `Sequential`, the linear layer's and the batch norm's; its tensors are named after
/// them.
#[derive(Clone, Debug)]
pub struct Dense<const IN: usize, const OUT: usize, D: Backend> {
    /// The linear layer.
    pub linear: Linear<IN, OUT, D>,
    /// Batch norm, if there is one.
    pub norm: Option<BatchNorm1d<OUT, D>>,
}

impl<const IN: usize, const OUT: usize, D: Backend> Dense<IN, OUT, D> {
    pub(super) fn normed(dev: &D, rng: &InitRng) -> Self {
        Self { linear: Linear::new(dev, rng), norm: Some(BatchNorm1d::new(dev, rng)) }
    }

    pub(super) fn plain_normed(dev: &D, rng: &InitRng) -> Self {
        Self { linear: Linear::new(dev, rng), norm: Some(BatchNorm1d::plain(dev)) }
    }

    pub(super) fn biased(dev: &D, rng: &InitRng) -> Self {
        Self { linear: Linear::biased(dev, rng), norm: None }
    }

    /// A hidden layer, with batch norm or without.
    pub(super) fn hidden(dev: &D, rng: &InitRng, norm: bool) -> Self {
        if norm { Self::normed(dev, rng) } else { Self::biased(dev, rng) }
    }

    /// Evaluation.
    pub fn forward(&self, x: Features<D, IN>, activation: Activation) -> Features<D, OUT> {
        let x = self.linear.forward(x);
        match &self.norm {
            Some(norm) => norm.forward(x, activation),
            None => activate(x, activation),
        }
    }

    /// Training.
    pub fn forward_mut(
        &mut self,
        x: Features<D, IN, Taped<D>>,
        activation: Activation,
    ) -> Features<D, OUT, Taped<D>> {
        let x = self.linear.forward(x);
        match &mut self.norm {
            Some(norm) => norm.forward_mut(x, activation),
            None => activate(x, activation),
        }
    }

    /// Visits the tensors of the layer at `place` of the sequence `prefix`.
    pub(super) fn visit(&self, prefix: &str, place: usize, each: &mut Visitor<'_, D>) {
        self.linear.visit(&format!("{prefix}.{place}"), each);
        self.norm.visit(&format!("{prefix}.{}", place + 1), each);
    }

    pub(super) fn visit_mut(
        &mut self,
        prefix: &str,
        place: usize,
        each: &mut VisitorMut<'_, D>,
    ) -> Result<(), D::Err> {
        self.linear.visit_mut(&format!("{prefix}.{place}"), each)?;
        self.norm.visit_mut(&format!("{prefix}.{}", place + 1), each)
    }

    pub(super) fn join(&mut self, ranks: &Ranks) {
        self.linear.join(ranks);
        self.norm.join(ranks);
    }
}

fn activate<const C: usize, D: Backend, T: Tape<f32, D>>(
    x: Features<D, C, T>,
    activation: Activation,
) -> Features<D, C, T> {
    match activation {
        Activation::Relu => x.relu(),
        Activation::Identity => x,
    }
}
