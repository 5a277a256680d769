use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Batch, Method, StepLoss, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::layers::Linear;
use crate::module::{Module, NamedTensors, parts};
use crate::objective::{SpreadSums, sinkhorn, swapped_prediction, unit};

/// Run-time settings, with the values of Caron et al. 2020.
#[derive(Clone, Debug, PartialEq)]
pub struct SwAvConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// Height and width of each view: at least two of full size, then smaller ones.
    pub view_sizes: Vec<usize>,
    /// Temperature of the softmax over prototypes: 0.1.
    pub temperature: f32,
    /// Entropy weight of the codes: 0.05.
    pub epsilon: f32,
    /// Sinkhorn-Knopp iterations: 3.
    pub iterations: usize,
}

/// SwAV (Caron et al. 2020): the loss [`swapped_prediction`] with the codes of `K` prototypes, whose directions are
/// trained with the network. Full-size views have codes and predict each other's; smaller views (the paper's
/// multi-crop) only predict.
#[derive(Clone, Debug)]
pub struct SwAv<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const K: usize, D: Backend> {
    /// Encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    /// The prototypes' directions, `K x DIM`.
    pub prototypes: Linear<DIM, K, D>,
    config: SwAvConfig,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const K: usize, D: Backend>
    SwAv<FEATURES, WIDTH, DIM, K, D>
{
    /// Puts the method on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    ///
    /// # Panics
    /// If fewer than two views have full size.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &SwAvConfig, rng: &InitRng) -> Self {
        let full = config.view_sizes.iter().filter(|size| **size == encoder.size()).count();
        assert!(full >= 2, "codes are of two full-size views at least, not of {full}");
        let f = Branch::new(encoder, dev, rng, &config.heads);
        let prototypes = Linear::new(dev, &rng.child("prototypes"));
        let mut method = Self { f, prototypes, config: config.clone() };
        method.normalize_prototypes();
        method
    }

    /// Prototypes have length 1.
    fn normalize_prototypes(&mut self) {
        let weight = &mut self.prototypes.weight;
        let norms = weight.clone().square().sum::<Rank1<K>, Axis<1>>().sqrt();
        let unit = weight.clone() / norms.broadcast();
        weight.axpy(0.0, &unit, 1.0);
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const K: usize, D> Method<D>
    for SwAv<FEATURES, WIDTH, DIM, K, D>
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
        self.config.view_sizes.clone()
    }

    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let SwAvConfig { temperature, epsilon, iterations, .. } = self.config;
        let full_size = self.f.encoder.size();
        // The full-size views come last, so that they weigh more in batch norm's running statistics: evaluation sees no others.
        let (full, mut views): (Vec<_>, Vec<_>) =
            batch.views.into_iter().partition(|view| view.size() == full_size);
        let small = views.len();
        views.extend(full);
        let mut spreads = Vec::new();
        let mut scores = pass(views, grads, |x| {
            let is_full = x.size() == full_size;
            let z = self.f.forward_mut(x);
            spreads.extend(is_full.then(|| SpreadSums::of(&batch.ranks.gather(z.retaped::<NoneTape>()))));
            batch.ranks.gather(self.prototypes.forward(unit(z)))
        });
        scores.rotate_left(small);
        let of_full = scores.iter().take(scores.len() - small);
        let codes: Vec<_> =
            of_full.map(|scores| sinkhorn(&scores.retaped::<NoneTape>(), epsilon, iterations)).collect();
        let loss = swapped_prediction(scores, &codes, temperature);
        // Equal projections have the same code, in which all prototypes weigh the same; predicted at best, they are as likely.
        StepLoss::new(loss, spreads, Some((K as f64).ln()))
    }

    fn end_step(&mut self, _: u64, _: f64) {
        self.normalize_prototypes();
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const K: usize, D: Backend> NamedTensors<D>
    for SwAv<FEATURES, WIDTH, DIM, K, D>
{
    parts! { "": f, "prototypes": prototypes }
}

/// SwAV for the table of methods.
pub(super) struct SwAvKind;

impl SwAvKind {
    const PROTOTYPES: usize = 3000;
}

impl Kind for SwAvKind {
    const NAME: &'static str = "swav";
    const ABOUT: &'static str =
        "Codes of prototypes that each view predicts of the other (Caron et al. 2020)";
    const REPORTED: &'static str = "66.5 (batch 4096)";
    const TAKES: &'static [&'static str] = &["temperature", "multi_crop"];
    const DIMS: &'static [usize] = &[128];
    const PROTOTYPES_REST_AT_FIRST: bool = true;

    fn defaults(scale: Scale) -> Defaults {
        Defaults { zero_init_residual: false, temperature: Some(0.1), ..Defaults::relative(scale, 128) }
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, `--warmup-epochs`, or a larger `--batch-size`",
            paper: "Caron et al. 2020, section 3",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let view_sizes = settings.view_sizes.clone().unwrap_or_else(|| vec![encoder.size(); 2]);
        let temperature = settings.temperature();
        let config =
            SwAvConfig { heads: settings.heads, view_sizes, temperature, epsilon: 0.05, iterations: 3 };
        Box::new(SwAv::<FEATURES, 2048, 128, { Self::PROTOTYPES }, D>::new(encoder, dev, &config, rng))
    }
}
