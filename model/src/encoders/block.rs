use crate::backend::Backend;
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, Visitor, VisitorMut, joined};
use crate::tensors::{Images, Taped};

/// A block of a residual network, `batch x IN x S x S -> batch x OUT x S_OUT x S_OUT`.
pub trait Block<D: Backend, const IN: usize, const OUT: usize, const S: usize, const S_OUT: usize>:
    Module<D>
{
    /// Evaluation.
    fn forward(&self, x: Images<D, IN, S>) -> Images<D, OUT, S_OUT>;

    /// Training.
    fn forward_mut(&mut self, x: Images<D, IN, S, Taped<D>>) -> Images<D, OUT, S_OUT, Taped<D>>;
}

/// A sequence of blocks: one that may change the shape, then `REST` that keep it. Named `0`, `1`, ...
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

impl<F: Module<D>, R: Module<D>, D: Backend, const REST: usize> NamedTensors<D> for Stage<F, R, REST> {
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        self.first.visit(&joined(prefix, "0"), each);
        for (i, block) in (1..).zip(&self.rest) {
            block.visit(&joined(prefix, &i.to_string()), each);
        }
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        self.first.visit_mut(&joined(prefix, "0"), each)?;
        (1..)
            .zip(&mut self.rest)
            .try_for_each(|(i, block)| block.visit_mut(&joined(prefix, &i.to_string()), each))
    }

    fn join(&mut self, ranks: &Ranks) {
        self.first.join(ranks);
        self.rest.iter_mut().for_each(|block| block.join(ranks));
    }
}

impl<F: Module<D>, R: Module<D>, D: Backend, const REST: usize> Module<D> for Stage<F, R, REST> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        let rest = (1..=REST).map(|i| R::new(dev, &rng.child(&i.to_string()))).collect();
        Self { first: F::new(dev, &rng.child("0")), rest }
    }
}
