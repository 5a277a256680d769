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
use crate::objective::{Spread, sinkhorn, swapped_prediction, unit};

/// What is chosen when a program runs; the values are those of Caron et al. 2020.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SwAvConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// Of the softmax over prototypes: 0.1.
    pub temperature: f32,
    /// Entropy of the codes: 0.05.
    pub epsilon: f32,
    /// Iterations of Sinkhorn and Knopp: 3.
    pub iterations: usize,
}

/// SwAV (Caron et al. 2020) with two full-size views: [`swapped_prediction`] of the codes of `K` prototypes, whose
/// directions are trained with the network.
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
    /// Puts the method on an encoder; its initial values are a function of `rng`'s seed and of the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &SwAvConfig, rng: &InitRng) -> Self {
        let f = Branch::new(encoder, dev, rng, &config.heads);
        let mut method = Self { f, prototypes: Linear::new(dev, &rng.child("prototypes")), config: *config };
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

    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let SwAvConfig { temperature, epsilon, iterations, .. } = self.config;
        let mut spreads = Vec::new();
        let scores = pass(batch.views, grads, |x| {
            let z = self.f.forward_mut(x);
            spreads.push(Spread::of(&z));
            self.prototypes.forward(unit(z))
        });
        let [scores1, scores2] =
            <[_; 2]>::try_from(scores).unwrap_or_else(|_| unreachable!("SwAV takes two views"));
        let (scores1, tape1) = scores1.split_tape();
        let (scores2, tape2) = scores2.split_tape();
        let codes = [&scores1, &scores2].map(|scores| sinkhorn(scores, epsilon, iterations));
        let loss = swapped_prediction(scores1.put_tape(tape1), scores2.put_tape(tape2), codes, temperature);
        // Equal projections have the same code, in which all prototypes weigh the same; predicted at best, they are as likely.
        StepLoss { loss, spreads, equal_loss: Some((K as f64).ln()) }
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
    const TAKES: &'static [&'static str] = &["temperature"];
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
        let temperature = settings.temperature();
        let config = SwAvConfig { heads: settings.heads, temperature, epsilon: 0.05, iterations: 3 };
        Box::new(SwAv::<FEATURES, 2048, 128, { Self::PROTOTYPES }, D>::new(encoder, dev, &config, rng))
    }
}
