use super::{Dense, HeadNorm};
use crate::backend::{Activation, Backend};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{NamedTensors, Visitor, VisitorMut};
use crate::tensors::{Features, Taped};

/// The prediction head, `batch x DIM -> batch x DIM` through `HIDDEN` channels: linear, batch norm, ReLU, then linear
/// with bias.
///
/// Tensors are named after their place in PyTorch's `Sequential`: `0.weight`, `1.weight`, ..., `3.bias`.
#[derive(Clone, Debug)]
pub struct Predictor<const DIM: usize, const HIDDEN: usize, D: Backend> {
    /// `DIM -> HIDDEN`.
    pub hidden: Dense<DIM, HIDDEN, D>,
    /// `HIDDEN -> DIM`.
    pub last: Dense<HIDDEN, DIM, D>,
}

impl<const DIM: usize, const HIDDEN: usize, D: Backend> Predictor<DIM, HIDDEN, D> {
    /// Builds the head.
    pub fn new(dev: &D, rng: &InitRng, norm: HeadNorm) -> Self {
        Self {
            hidden: Dense::hidden(dev, &rng.child("0"), norm.hidden()),
            last: Dense::hidden(dev, &rng.child("3"), norm.predictor_output()),
        }
    }

    /// Training. Evaluation does not use predictions.
    pub fn forward_mut(&mut self, z: Features<D, DIM, Taped<D>>) -> Features<D, DIM, Taped<D>> {
        self.last.forward_mut(self.hidden.forward_mut(z, Activation::Relu), Activation::Identity)
    }
}

impl<const DIM: usize, const HIDDEN: usize, D: Backend> NamedTensors<D> for Predictor<DIM, HIDDEN, D> {
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        self.hidden.visit(prefix, 0, each);
        self.last.visit(prefix, 3, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        self.hidden.visit_mut(prefix, 0, each)?;
        self.last.visit_mut(prefix, 3, each)
    }

    fn join(&mut self, ranks: &Ranks) {
        self.hidden.join(ranks);
        self.last.join(ranks);
    }
}
