use dfdx::nn::{ModuleVisitor, TensorCollection, ZeroGrads};
use dfdx::prelude::*;

use super::join;
use crate::backend::{Activation, Backend};
use crate::init::InitRng;
use crate::layers::{BatchNorm1d, Linear, PlainBatchNorm1d};
use crate::module::{Module, NamedTensors, ReadVisitor, Walked, WriteVisitor, visit, visit_mut};
use crate::tensors::{Features, Taped};

/// The projection head, `batch x FEATURES -> batch x DIM`: two or three linear layers, each with batch norm, and ReLU
/// on all but the last, whose batch norm has no scale and shift.
///
/// Tensors are named by their place in PyTorch's `Sequential`: `0.weight`, `1.weight`, ..., `6.weight`.
#[derive(Clone, Debug)]
pub struct Projector<const FEATURES: usize, const DIM: usize, D: Backend> {
    /// The first layer.
    pub first: Hidden<FEATURES, DIM, D>,
    /// The middle layer of a head of three.
    pub middle: Option<Hidden<DIM, DIM, D>>,
    /// The last layer.
    pub last: Linear<DIM, DIM, D>,
    /// The last layer's batch norm.
    pub norm: PlainBatchNorm1d<DIM, D>,
}

impl<const FEATURES: usize, const DIM: usize, D: Backend> Projector<FEATURES, DIM, D> {
    /// Builds a head of `layers`.
    ///
    /// # Panics
    /// If `layers` is neither 2 nor 3.
    pub fn new(dev: &D, rng: &InitRng, layers: usize) -> Self {
        assert!(layers == 2 || layers == 3, "a projector has 2 or 3 layers, not {layers}");
        let last = 3 * (layers - 1);
        Self {
            first: Hidden::new(dev, &rng.child("0")),
            middle: (layers == 3).then(|| Hidden::new(dev, &rng.child("3"))),
            last: Linear::new(dev, &rng.child(&last.to_string())),
            norm: PlainBatchNorm1d::new(dev, &rng.child(&(last + 1).to_string())),
        }
    }

    /// How many layers there are.
    pub fn layers(&self) -> usize {
        if self.middle.is_some() { 3 } else { 2 }
    }

    /// Evaluation.
    pub fn forward(&self, x: Features<D, FEATURES>) -> Features<D, DIM> {
        let mut x = self.first.forward(x);
        if let Some(middle) = &self.middle {
            x = middle.forward(x);
        }
        self.norm.forward(self.last.forward(x), Activation::Identity)
    }

    /// Training.
    pub fn forward_mut(&mut self, x: Features<D, FEATURES, Taped<D>>) -> Features<D, DIM, Taped<D>> {
        let mut x = self.first.forward_mut(x);
        if let Some(middle) = &mut self.middle {
            x = middle.forward_mut(x);
        }
        self.norm.forward_mut(self.last.forward(x), Activation::Identity)
    }

    pub(super) fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.first.zero_grads(grads);
        if let Some(middle) = &self.middle {
            middle.zero_grads(grads);
        }
        self.last.zero_grads(grads);
    }
}

impl<const FEATURES: usize, const DIM: usize, D: Backend> NamedTensors<D> for Projector<FEATURES, DIM, D> {
    fn visit<V: ReadVisitor<D>>(&self, prefix: &str, visitor: &mut V) -> Result<(), V::Err> {
        let name = |place: usize| join(prefix, &place.to_string());
        let last = 3 * (self.layers() - 1);
        visit(&self.first.linear, &name(0), visitor)?;
        visit(&self.first.norm, &name(1), visitor)?;
        if let Some(middle) = &self.middle {
            visit(&middle.linear, &name(3), visitor)?;
            visit(&middle.norm, &name(4), visitor)?;
        }
        visit(&self.last, &name(last), visitor)?;
        visit(&self.norm, &name(last + 1), visitor)
    }

    fn visit_mut<V: WriteVisitor<D>>(&mut self, prefix: &str, visitor: &mut V) -> Result<(), V::Err> {
        let name = |place: usize| join(prefix, &place.to_string());
        let last = 3 * (self.layers() - 1);
        visit_mut(&mut self.first.linear, &name(0), visitor)?;
        visit_mut(&mut self.first.norm, &name(1), visitor)?;
        if let Some(middle) = &mut self.middle {
            visit_mut(&mut middle.linear, &name(3), visitor)?;
            visit_mut(&mut middle.norm, &name(4), visitor)?;
        }
        visit_mut(&mut self.last, &name(last), visitor)?;
        visit_mut(&mut self.norm, &name(last + 1), visitor)
    }
}

/// Linear layer, batch norm, ReLU: `batch x IN -> batch x OUT`.
#[derive(Clone, Debug)]
pub struct Hidden<const IN: usize, const OUT: usize, D: Backend> {
    /// The linear layer, without bias.
    pub linear: Linear<IN, OUT, D>,
    /// Its batch norm.
    pub norm: BatchNorm1d<OUT, D>,
}

impl<const IN: usize, const OUT: usize, D: Backend> Hidden<IN, OUT, D> {
    /// Evaluation.
    pub fn forward(&self, x: Features<D, IN>) -> Features<D, OUT> {
        self.norm.forward(self.linear.forward(x), Activation::Relu)
    }

    /// Training.
    pub fn forward_mut(&mut self, x: Features<D, IN, Taped<D>>) -> Features<D, OUT, Taped<D>> {
        self.norm.forward_mut(self.linear.forward(x), Activation::Relu)
    }
}

impl<const IN: usize, const OUT: usize, D: Backend> TensorCollection<f32, D> for Hidden<IN, OUT, D> {
    type To<E2: Dtype, D2: Device<E2>> = ();

    fn iter_tensors<V: ModuleVisitor<Self, f32, D>>(visitor: &mut V) -> Walked<V::Err> {
        let fields = (
            Self::module("0", |s| &s.linear, |s| &mut s.linear),
            Self::module("1", |s| &s.norm, |s| &mut s.norm),
        );
        visitor.visit_fields(fields, |_| ())
    }
}

impl<const IN: usize, const OUT: usize, D: Backend> Module<D> for Hidden<IN, OUT, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self { linear: Linear::new(dev, rng), norm: BatchNorm1d::new(dev, rng) }
    }
}
