use super::{Dense, HeadConfig};
use crate::backend::{Activation, Backend};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{NamedTensors, Visitor, VisitorMut};
use crate::tensors::{Features, Taped};

/// The projection head, `batch x FEATURES -> batch x DIM` through layers of `WIDTH` channels: two or three linear
/// layers, with ReLU on all but the last.
///
/// Tensors are named after their place in PyTorch's `Sequential`: `0.weight`, `1.weight`, ..., `6.weight`.
#[derive(Clone, Debug)]
pub struct Projector<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// The first layer.
    pub first: Dense<FEATURES, WIDTH, D>,
    /// The middle layer of a three-layer head.
    pub middle: Option<Dense<WIDTH, WIDTH, D>>,
    /// The last layer.
    pub last: Dense<WIDTH, DIM, D>,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    Projector<FEATURES, WIDTH, DIM, D>
{
    /// Builds the head.
    ///
    /// # Panics
    /// If the number of layers is neither 2 nor 3.
    pub fn new(dev: &D, rng: &InitRng, config: &HeadConfig) -> Self {
        let HeadConfig { projector_layers, norm } = *config;
        assert!(matches!(projector_layers, 2 | 3), "a projector has 2 or 3 layers, not {projector_layers}");
        let last = rng.child(&(3 * (projector_layers - 1)).to_string());
        Self {
            first: Dense::hidden(dev, &rng.child("0"), norm.hidden()),
            middle: (projector_layers == 3).then(|| Dense::hidden(dev, &rng.child("3"), norm.hidden())),
            last: if norm.projector_output() {
                Dense::plain_normed(dev, &last)
            } else {
                Dense::biased(dev, &last)
            },
        }
    }

    /// Evaluation.
    pub fn forward(&self, x: Features<D, FEATURES>) -> Features<D, DIM> {
        let mut x = self.first.forward(x, Activation::Relu);
        if let Some(middle) = &self.middle {
            x = middle.forward(x, Activation::Relu);
        }
        self.last.forward(x, Activation::Identity)
    }

    /// Training.
    pub fn forward_mut(&mut self, x: Features<D, FEATURES, Taped<D>>) -> Features<D, DIM, Taped<D>> {
        let mut x = self.first.forward_mut(x, Activation::Relu);
        if let Some(middle) = &mut self.middle {
            x = middle.forward_mut(x, Activation::Relu);
        }
        self.last.forward_mut(x, Activation::Identity)
    }

    fn place_of_last(&self) -> usize {
        if self.middle.is_some() { 6 } else { 3 }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for Projector<FEATURES, WIDTH, DIM, D>
{
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        self.first.visit(prefix, 0, each);
        if let Some(middle) = &self.middle {
            middle.visit(prefix, 3, each);
        }
        self.last.visit(prefix, self.place_of_last(), each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        let last = self.place_of_last();
        self.first.visit_mut(prefix, 0, each)?;
        if let Some(middle) = &mut self.middle {
            middle.visit_mut(prefix, 3, each)?;
        }
        self.last.visit_mut(prefix, last, each)
    }

    fn join(&mut self, ranks: &Ranks) {
        self.first.join(ranks);
        if let Some(middle) = &mut self.middle {
            middle.join(ranks);
        }
        self.last.join(ranks);
    }
}
