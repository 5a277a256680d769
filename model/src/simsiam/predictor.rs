use dfdx::nn::{ModuleVisitor, TensorCollection};
use dfdx::prelude::*;

use super::Hidden;
use crate::backend::Backend;
use crate::init::InitRng;
use crate::layers::BiasedLinear;
use crate::module::{Module, Walked};
use crate::tensors::{Features, Taped};

/// The prediction head, `batch x DIM -> batch x DIM` through a bottleneck of `HIDDEN`: linear, batch norm, ReLU, then
/// linear with bias.
///
/// Tensors are named by their place in PyTorch's `Sequential`: `0.weight`, `1.weight`, ..., `3.bias`.
#[derive(Clone, Debug)]
pub struct Predictor<const DIM: usize, const HIDDEN: usize, D: Backend> {
    /// `DIM -> HIDDEN`.
    pub hidden: Hidden<DIM, HIDDEN, D>,
    /// `HIDDEN -> DIM`.
    pub last: BiasedLinear<HIDDEN, DIM, D>,
}

impl<const DIM: usize, const HIDDEN: usize, D: Backend> Predictor<DIM, HIDDEN, D> {
    /// Evaluation.
    pub fn forward(&self, z: Features<D, DIM>) -> Features<D, DIM> {
        self.last.forward(self.hidden.forward(z))
    }

    /// Training.
    pub fn forward_mut(&mut self, z: Features<D, DIM, Taped<D>>) -> Features<D, DIM, Taped<D>> {
        self.last.forward(self.hidden.forward_mut(z))
    }
}

impl<const DIM: usize, const HIDDEN: usize, D: Backend> TensorCollection<f32, D>
    for Predictor<DIM, HIDDEN, D>
{
    type To<E2: Dtype, D2: Device<E2>> = ();

    fn iter_tensors<V: ModuleVisitor<Self, f32, D>>(visitor: &mut V) -> Walked<V::Err> {
        let fields = (
            Self::module("0", |s| &s.hidden.linear, |s| &mut s.hidden.linear),
            Self::module("1", |s| &s.hidden.norm, |s| &mut s.hidden.norm),
            Self::module("3", |s| &s.last, |s| &mut s.last),
        );
        visitor.visit_fields(fields, |_| ())
    }
}

impl<const DIM: usize, const HIDDEN: usize, D: Backend> Module<D> for Predictor<DIM, HIDDEN, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self { hidden: Hidden::new(dev, &rng.child("0")), last: BiasedLinear::new(dev, &rng.child("3")) }
    }
}
