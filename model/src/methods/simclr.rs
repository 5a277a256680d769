use dfdx::prelude::*;

use super::{Batch, Method, StepLoss, pass};
use crate::backend::Backend;
use crate::branch::Branch;
use crate::encoders::Encoder;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, Read, Write};
use crate::objective::{Spread, nt_xent};
use crate::tensors::Images;

/// What is chosen when a program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimClrConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// 0.1 on ImageNet, 0.5 on CIFAR-10 (Chen et al. 2020, appendix B).
    pub temperature: f32,
}

/// SimCLR (Chen et al. 2020): [`nt_xent`] of two views' projections, `L(f(x1), f(x2))`.
#[derive(Clone, Debug)]
pub struct SimClr<E, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// Encoder and projector.
    pub f: Branch<E, FEATURES, WIDTH, DIM, D>,
    config: SimClrConfig,
}

impl<E: Module<D>, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    SimClr<E, FEATURES, WIDTH, DIM, D>
{
    /// Builds the network; its initial values are a function of `seed` and of the parameters' names.
    pub fn new(dev: &D, config: &SimClrConfig, seed: u64) -> Self {
        Self { f: Branch::new(dev, &InitRng::new(seed), &config.heads), config: *config }
    }
}

impl<E, const SIZE: usize, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> Method<D, SIZE>
    for SimClr<E, FEATURES, WIDTH, DIM, D>
where
    E: Encoder<D, SIZE, FEATURES>,
    D: Backend,
{
    type Encoder = E;
    const DIM: usize = DIM;

    fn encoder(&self) -> &E {
        &self.f.encoder
    }

    fn project(&self, x: Images<D, 3, SIZE>) -> Vec<f32> {
        self.f.forward(x).as_vec()
    }

    fn loss(&mut self, batch: Batch<'_, D, SIZE>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let z = pass(batch.views, grads, |x| self.f.forward_mut(x));
        let spreads = z.iter().map(Spread::of).collect();
        let [z1, z2] = <[_; 2]>::try_from(z).unwrap_or_else(|_| unreachable!("SimCLR takes two views"));
        // Every anchor is compared with all projections of the batch but itself.
        let equal_loss = Some((2.0 * z1.shape().0 as f64 - 1.0).ln());
        StepLoss { loss: nt_xent(z1, z2, self.config.temperature), spreads, equal_loss }
    }

    fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.f.zero_grads(grads);
    }
}

impl<E: Module<D>, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for SimClr<E, FEATURES, WIDTH, DIM, D>
{
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>) {
        self.f.visit(prefix, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err> {
        self.f.visit_mut(prefix, each)
    }
}
