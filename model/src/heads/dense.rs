use dfdx::prelude::*;

use crate::backend::{Activation, Backend};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::layers::{BatchNorm1d, BiasedLinear, Linear, PlainBatchNorm1d};
use crate::module::{Module, NamedTensors, Visitor, VisitorMut};
use crate::tensors::{Features, Taped};

/// A layer of a head, `batch x IN -> batch x OUT`.
///
/// It takes two places in PyTorch's `Sequential`, the linear layer's and the batch norm's; its tensors are named after
/// them.
#[derive(Clone, Debug)]
pub enum Dense<const IN: usize, const OUT: usize, D: Backend> {
    /// A linear layer and batch norm.
    Normed(Linear<IN, OUT, D>, BatchNorm1d<OUT, D>),
    /// A linear layer and batch norm without scale and shift.
    PlainNormed(Linear<IN, OUT, D>, PlainBatchNorm1d<OUT, D>),
    /// A linear layer with bias.
    Biased(BiasedLinear<IN, OUT, D>),
}

impl<const IN: usize, const OUT: usize, D: Backend> Dense<IN, OUT, D> {
    pub(super) fn normed(dev: &D, rng: &InitRng) -> Self {
        Self::Normed(Linear::new(dev, rng), BatchNorm1d::new(dev, rng))
    }

    pub(super) fn plain_normed(dev: &D, rng: &InitRng) -> Self {
        Self::PlainNormed(Linear::new(dev, rng), PlainBatchNorm1d::new(dev, rng))
    }

    pub(super) fn biased(dev: &D, rng: &InitRng) -> Self {
        Self::Biased(BiasedLinear::new(dev, rng))
    }

    /// A hidden layer, with batch norm or without.
    pub(super) fn hidden(dev: &D, rng: &InitRng, norm: bool) -> Self {
        if norm { Self::normed(dev, rng) } else { Self::biased(dev, rng) }
    }

    /// Evaluation.
    pub fn forward(&self, x: Features<D, IN>, activation: Activation) -> Features<D, OUT> {
        match self {
            Self::Normed(linear, norm) => norm.forward(linear.forward(x), activation),
            Self::PlainNormed(linear, norm) => norm.forward(linear.forward(x), activation),
            Self::Biased(linear) => activate(linear.forward(x), activation),
        }
    }

    /// Training.
    pub fn forward_mut(
        &mut self,
        x: Features<D, IN, Taped<D>>,
        activation: Activation,
    ) -> Features<D, OUT, Taped<D>> {
        match self {
            Self::Normed(linear, norm) => norm.forward_mut(linear.forward(x), activation),
            Self::PlainNormed(linear, norm) => norm.forward_mut(linear.forward(x), activation),
            Self::Biased(linear) => activate(linear.forward(x), activation),
        }
    }

    /// Visits the tensors of the layer at `place` of the sequence `prefix`.
    pub(super) fn visit(&self, prefix: &str, place: usize, each: &mut Visitor<'_, D>) {
        let (linear_name, norm_name) = (format!("{prefix}.{place}"), format!("{prefix}.{}", place + 1));
        match self {
            Self::Normed(linear, norm) => {
                linear.visit(&linear_name, each);
                norm.visit(&norm_name, each);
            }
            Self::PlainNormed(linear, norm) => {
                linear.visit(&linear_name, each);
                norm.visit(&norm_name, each);
            }
            Self::Biased(linear) => linear.visit(&linear_name, each),
        }
    }

    pub(super) fn visit_mut(
        &mut self,
        prefix: &str,
        place: usize,
        each: &mut VisitorMut<'_, D>,
    ) -> Result<(), D::Err> {
        let (linear_name, norm_name) = (format!("{prefix}.{place}"), format!("{prefix}.{}", place + 1));
        match self {
            Self::Normed(linear, norm) => {
                linear.visit_mut(&linear_name, each)?;
                norm.visit_mut(&norm_name, each)
            }
            Self::PlainNormed(linear, norm) => {
                linear.visit_mut(&linear_name, each)?;
                norm.visit_mut(&norm_name, each)
            }
            Self::Biased(linear) => linear.visit_mut(&linear_name, each),
        }
    }

    pub(super) fn join(&mut self, ranks: &Ranks) {
        match self {
            Self::Normed(linear, norm) => {
                linear.join(ranks);
                norm.join(ranks);
            }
            Self::PlainNormed(linear, norm) => {
                linear.join(ranks);
                norm.join(ranks);
            }
            Self::Biased(linear) => linear.join(ranks),
        }
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
