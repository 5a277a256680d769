use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Batch, Method, Queue, StepLoss, Symmetry, mean, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::collective::{Ranks, Shuffle};
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm};
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{SpreadSums, info_nce, unit};
use crate::tensors::{Features, View};

/// Run-time settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoCoV2Config {
    /// The projectors.
    pub heads: HeadConfig,
    /// Whether both views are queries for each other's key (as in table 4 of Chen & He 2021), or only one.
    pub symmetry: Symmetry,
    /// Temperature of the softmax: 0.2 (Chen et al. 2020, "Improved baselines").
    pub temperature: f32,
    /// Number of keys of earlier images to compare with.
    pub queue: usize,
    /// Momentum of the key encoder: 0.999.
    pub momentum: f64,
}

/// MoCo v2 (Chen et al. 2020): the loss [`info_nce`] of queries `f(x1)`, with keys of `x2` from a moving average of `f`
/// and a queue of earlier keys.
///
/// Images are shuffled between the batch norms of queries and keys ([`Shuffle`]) only where several ranks have batch norms of
/// their own.
#[derive(Clone, Debug)]
pub struct MoCoV2<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// The query encoder with its projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    /// The key encoder, a moving average of `f`.
    pub target: Branch<FEATURES, WIDTH, DIM, D>,
    /// Keys of earlier images, unit rows.
    pub queue: Queue<DIM, D>,
    /// The step's keys: they join the queue at its end, as the backward pass still reads the queue.
    fresh: Vec<Features<D, DIM>>,
    config: MoCoV2Config,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    MoCoV2<FEATURES, WIDTH, DIM, D>
{
    /// Puts the method on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &MoCoV2Config, rng: &InitRng) -> Self {
        let f = Branch::new(encoder, dev, rng, &config.heads);
        let queue = Queue::new(dev, &rng.child("queue"), config.queue);
        Self { target: f.clone(), f, queue, fresh: Vec::new(), config: *config }
    }

    /// The projections of one view of the whole batch by the key encoder.
    fn keys(&mut self, ranks: &Ranks, shuffle: Option<&Shuffle<'_>>, view: &View<D>) -> Features<D, DIM> {
        match shuffle {
            None => ranks.gather(self.target.target(view)),
            Some(shuffle) => shuffle.undone(&ranks.gather(self.target.target(&shuffle.share(view)))),
        }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> Method<D>
    for MoCoV2<FEATURES, WIDTH, DIM, D>
where
    D: Backend,
{
    fn online(&self) -> &dyn Encoding<D> {
        &self.f
    }

    fn online_mut(&mut self) -> &mut dyn Encoding<D> {
        &mut self.f
    }

    fn view_sizes(&self) -> Vec<usize> {
        vec![self.f.encoder.size(); self.config.symmetry.views()]
    }

    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let pairs = self.config.symmetry.pairs();
        let shuffle = Shuffle::of(batch.ranks, batch.samples);
        let mut key_of = |view| unit(self.keys(batch.ranks, shuffle.as_ref(), &batch.views[view]));
        let keys: Vec<_> = pairs.iter().map(|&(_, key)| key_of(key)).collect();
        let asking = pairs.iter().map(|&(query, _)| batch.views[query].clone()).collect();
        let queries = pass(asking, grads, |x| batch.ranks.gather(self.f.forward_mut(x)));
        let spreads = queries.iter().map(SpreadSums::of).collect();
        let loss = mean(
            queries
                .into_iter()
                .zip(&keys)
                .map(|(query, key)| info_nce(query, key.clone(), &self.queue.keys, self.config.temperature)),
        );
        self.fresh.extend(keys); // of every batch of the step
        // A query's own key is one of so many that are all as near.
        let equal_loss = Some((self.queue.keys.shape().0 as f64 + 1.0).ln());
        StepLoss::new(loss, spreads, equal_loss)
    }

    fn end_step(&mut self, _: u64, _: f64) {
        self.fresh.drain(..).for_each(|keys| self.queue.push(&keys));
        self.target.follow(&self.f, self.config.momentum);
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for MoCoV2<FEATURES, WIDTH, DIM, D>
{
    parts! { "": f, "target": target, "queue": queue }
}

/// MoCo v2 for the table of methods.
pub(super) struct MoCoV2Kind;

impl Kind for MoCoV2Kind {
    const NAME: &'static str = "mocov2";
    const ABOUT: &'static str = "Contrast with a queue, keys by a momentum encoder (Chen et al. 2020)";
    const REPORTED: &'static str = "67.4 (batch 256)";
    const TAKES: &'static [&'static str] = &["symmetry", "target_momentum", "temperature", "queue"];
    const DIMS: &'static [usize] = &[128];

    fn defaults(scale: Scale) -> Defaults {
        let small = scale == Scale::Small;
        Defaults {
            norm: HeadNorm::None,
            zero_init_residual: false,
            temperature: Some(0.2),
            target_momentum: Some(if small { 0.99 } else { 0.999 }),
            queue: Some(if small { 4096 } else { 65_536 }),
            ..Defaults::relative(scale, 128)
        }
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, `--warmup-epochs`, and a `--target-momentum` nearer to 1",
            paper: "Chen et al. 2020, \"Improved baselines\", and He et al. 2020, section 4.1",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let config = MoCoV2Config {
            heads: settings.heads,
            symmetry: settings.symmetry,
            temperature: settings.temperature(),
            queue: settings.queue.expect("MoCo has a queue"),
            momentum: settings.target_momentum(),
        };
        Box::new(MoCoV2::<FEATURES, 2048, 128, D>::new(encoder, dev, &config, rng))
    }
}
