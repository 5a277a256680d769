use dfdx::prelude::*;

use super::{Batch, Method, Queue, StepLoss, Symmetry, mean, pass};
use crate::backend::Backend;
use crate::branch::Branch;
use crate::encoders::Encoder;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, Read, Write, joined};
use crate::objective::{Spread, info_nce, unit};
use crate::tensors::{Features, Images};

/// What is chosen when a program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoCoV2Config {
    /// The projectors.
    pub heads: HeadConfig,
    /// Whether both views ask for each other's key (as in table 4 of Chen & He 2021), or one.
    pub symmetry: Symmetry,
    /// 0.2 (Chen et al. 2020, "Improved baselines").
    pub temperature: f32,
    /// Keys of earlier images to compare with.
    pub queue: usize,
    /// Momentum of the key encoder: 0.999.
    pub momentum: f64,
}

/// MoCo v2 (Chen et al. 2020): [`info_nce`] of queries `f(x1)` against keys of `x2` from a moving average of `f`, and
/// against a queue of earlier keys.
///
/// On one device nothing shuffles the images between the batch norms of queries and keys, as MoCo does between devices.
#[derive(Clone, Debug)]
pub struct MoCoV2<E, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// The query encoder with its projector.
    pub f: Branch<E, FEATURES, WIDTH, DIM, D>,
    /// The key encoder: follows `f`.
    pub target: Branch<E, FEATURES, WIDTH, DIM, D>,
    /// Keys of earlier images, unit rows.
    pub queue: Queue<DIM, D>,
    /// The step's keys: they join the queue at its end, as the backward pass still reads the queue.
    fresh: Vec<Features<D, DIM>>,
    config: MoCoV2Config,
}

impl<E: Module<D> + Clone, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    MoCoV2<E, FEATURES, WIDTH, DIM, D>
{
    /// Builds the network; its initial values, those of the queue too, are a function of `seed` and of their names.
    pub fn new(dev: &D, config: &MoCoV2Config, seed: u64) -> Self {
        let rng = InitRng::new(seed);
        let f = Branch::new(dev, &rng, &config.heads);
        let queue = Queue::new(dev, &rng.child("queue"), config.queue);
        Self { target: f.clone(), f, queue, fresh: Vec::new(), config: *config }
    }
}

impl<E, const SIZE: usize, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> Method<D, SIZE>
    for MoCoV2<E, FEATURES, WIDTH, DIM, D>
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

    fn views(&self) -> usize {
        self.config.symmetry.views()
    }

    fn loss(&mut self, batch: Batch<'_, D, SIZE>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let pairs = self.config.symmetry.pairs();
        let keys: Vec<_> =
            pairs.iter().map(|&(_, key)| unit(self.target.target(&batch.views[key]))).collect();
        let asking = pairs.iter().map(|&(query, _)| batch.views[query].clone()).collect();
        let queries = pass(asking, grads, |x| self.f.forward_mut(x));
        let spreads = queries.iter().map(Spread::of).collect();
        let loss = mean(
            queries
                .into_iter()
                .zip(&keys)
                .map(|(query, key)| info_nce(query, key.clone(), &self.queue.keys, self.config.temperature)),
        );
        self.fresh.extend(keys); // of every batch of the step
        // A query's own key is one of so many that are all as near.
        let equal_loss = Some((self.queue.keys.shape().0 as f64 + 1.0).ln());
        StepLoss { loss, spreads, equal_loss }
    }

    fn end_step(&mut self, _: u64, _: f64) {
        self.fresh.drain(..).for_each(|keys| self.queue.push(&keys));
        self.target.follow(&self.f, self.config.momentum);
    }

    fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.f.zero_grads(grads);
    }
}

impl<E: Module<D>, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for MoCoV2<E, FEATURES, WIDTH, DIM, D>
{
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>) {
        self.f.visit(prefix, each);
        self.target.visit(&joined(prefix, "target"), each);
        self.queue.visit(&joined(prefix, "queue"), each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err> {
        self.f.visit_mut(prefix, each)?;
        self.target.visit_mut(&joined(prefix, "target"), each)?;
        self.queue.visit_mut(&joined(prefix, "queue"), each)
    }
}
