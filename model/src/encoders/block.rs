use dfdx::nn::{ModuleVisitor, TensorCollection};
use dfdx::prelude::*;

use crate::backend::Backend;
use crate::init::InitRng;
use crate::module::{Module, Walked};
use crate::tensors::{Images, Taped};

/// A piece of residual network, `batch x IN x S x S -> batch x OUT x S_OUT x S_OUT`.
pub trait Block<D: Backend, const IN: usize, const OUT: usize, const S: usize, const S_OUT: usize>:
    Module<D>
{
    /// Evaluation.
    fn forward(&self, x: Images<D, IN, S>) -> Images<D, OUT, S_OUT>;

    /// Training.
    fn forward_mut(&mut self, x: Images<D, IN, S, Taped<D>>) -> Images<D, OUT, S_OUT, Taped<D>>;
}

/// Blocks in a row: one that may change the shape, then `REST` that keep it. Named `0`, `1`, ...
#[derive(Clone, Debug)]
pub struct Stage<F, R, const REST: usize> {
    /// The first block.
    pub first: F,
    /// The others.
    pub rest: Vec<R>,
}

impl<F, R, D, const REST: usize, const IN: usize, const OUT: usize, const S: usize, const S_OUT: usize>
    Block<D, IN, OUT, S, S_OUT> for Stage<F, R, REST>
where
    D: Backend,
    F: Block<D, IN, OUT, S, S_OUT>,
    R: Block<D, OUT, OUT, S_OUT, S_OUT>,
{
    fn forward(&self, x: Images<D, IN, S>) -> Images<D, OUT, S_OUT> {
        self.rest.iter().fold(self.first.forward(x), |x, block| block.forward(x))
    }

    fn forward_mut(&mut self, x: Images<D, IN, S, Taped<D>>) -> Images<D, OUT, S_OUT, Taped<D>> {
        self.rest.iter_mut().fold(self.first.forward_mut(x), |x, block| block.forward_mut(x))
    }
}

impl<F: Module<D>, R: Module<D>, D: Backend, const REST: usize> TensorCollection<f32, D>
    for Stage<F, R, REST>
{
    type To<E2: Dtype, D2: Device<E2>> = ();

    fn iter_tensors<V: ModuleVisitor<Self, f32, D>>(visitor: &mut V) -> Walked<V::Err> {
        let names: Vec<String> = (1..=REST).map(|i| i.to_string()).collect();
        let rest: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(i, name)| Self::module(name, move |s| &s.rest[i], move |s| &mut s.rest[i]))
            .collect();
        visitor.visit_fields((Self::module("0", |s| &s.first, |s| &mut s.first), rest), |_| ())
    }
}

impl<F: Module<D>, R: Module<D>, D: Backend, const REST: usize> Module<D> for Stage<F, R, REST> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        let rest = (1..=REST).map(|i| R::new(dev, &rng.child(&i.to_string()))).collect();
        Self { first: F::new(dev, &rng.child("0")), rest }
    }
}
