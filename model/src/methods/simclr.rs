use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Batch, Method, StepLoss, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm};
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{Spread, nt_xent};

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
pub struct SimClr<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// Encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    config: SimClrConfig,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    SimClr<FEATURES, WIDTH, DIM, D>
{
    /// Puts the method on an encoder; its initial values are a function of `rng`'s seed and of the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &SimClrConfig, rng: &InitRng) -> Self {
        Self { f: Branch::new(encoder, dev, rng, &config.heads), config: *config }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> Method<D>
    for SimClr<FEATURES, WIDTH, DIM, D>
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
        let z = pass(batch.views, grads, |x| self.f.forward_mut(x));
        let spreads = z.iter().map(Spread::of).collect();
        let [z1, z2] = <[_; 2]>::try_from(z).unwrap_or_else(|_| unreachable!("SimCLR takes two views"));
        // Every anchor is compared with all projections of the batch but itself.
        let equal_loss = Some((2.0 * z1.shape().0 as f64 - 1.0).ln());
        StepLoss { loss: nt_xent(z1, z2, self.config.temperature), spreads, equal_loss }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for SimClr<FEATURES, WIDTH, DIM, D>
{
    parts! { "": f }
}

/// SimCLR for the table of methods.
pub(super) struct SimClrKind;

impl Kind for SimClrKind {
    const NAME: &'static str = "simclr";
    const ABOUT: &'static str = "Contrast within the batch (Chen et al. 2020)";
    const REPORTED: &'static str = "66.5 (batch 4096)";
    const TAKES: &'static [&'static str] = &["temperature"];
    const DIMS: &'static [usize] = &[128];

    /// Its projector ends in batch norm (google-research/simclr).
    fn defaults(scale: Scale) -> Defaults {
        let temperature = Some(if scale == Scale::Small { 0.5 } else { 0.1 });
        Defaults { norm: HeadNorm::Default, temperature, ..Defaults::relative(scale, 128) }
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, or a larger `--batch-size`",
            paper: "Chen et al. 2020, \"A simple framework\"",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let config = SimClrConfig { heads: settings.heads, temperature: settings.temperature() };
        Box::new(SimClr::<FEATURES, 2048, 128, D>::new(encoder, dev, &config, rng))
    }
}
