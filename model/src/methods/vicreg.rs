use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, OwnSetting, Scale, Settings};
use super::{Batch, Method, StepLoss, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{Spread, VicRegWeights, vicreg};

/// What is chosen when a program runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VicRegConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// What the terms weigh: 25, 25 and 1.
    pub weights: VicRegWeights,
}

/// VICReg (Bardes et al. 2022): [`vicreg`] of two views' projections.
#[derive(Clone, Debug)]
pub struct VicReg<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// Encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    config: VicRegConfig,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    VicReg<FEATURES, WIDTH, DIM, D>
{
    /// Puts the method on an encoder; its initial values are a function of `rng`'s seed and of the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &VicRegConfig, rng: &InitRng) -> Self {
        Self { f: Branch::new(encoder, dev, rng, &config.heads), config: *config }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> Method<D>
    for VicReg<FEATURES, WIDTH, DIM, D>
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
        let [z1, z2] = <[_; 2]>::try_from(z).unwrap_or_else(|_| unreachable!("VICReg takes two views"));
        // Without any variance each channel lacks all but the root of 1e-4.
        let equal_loss = Some(f64::from(self.config.weights.variance) * 0.99);
        StepLoss { loss: vicreg(z1, z2, self.config.weights), spreads, equal_loss }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for VicReg<FEATURES, WIDTH, DIM, D>
{
    parts! { "": f }
}

/// VICReg for the table of methods.
pub(super) struct VicRegKind;

impl VicRegKind {
    const INVARIANCE: OwnSetting = OwnSetting {
        key: "invariance",
        about: "what the distance of the two views weighs",
        default: 25.0,
        range: (0.0, 1e4),
    };
    const VARIANCE: OwnSetting = OwnSetting {
        key: "variance",
        about: "what a channel's lack of variance weighs",
        default: 25.0,
        range: (0.0, 1e4),
    };
    const COVARIANCE: OwnSetting = OwnSetting {
        key: "covariance",
        about: "what the covariances of different channels weigh",
        default: 1.0,
        range: (0.0, 1e4),
    };
}

impl Kind for VicRegKind {
    const NAME: &'static str = "vicreg";
    const ABOUT: &'static str = "Variance, invariance and covariance (Bardes et al. 2022)";
    const OWN: &'static [OwnSetting] = &[Self::INVARIANCE, Self::VARIANCE, Self::COVARIANCE];
    const DIMS: &'static [usize] = &[2048];

    fn defaults(scale: Scale) -> Defaults {
        Defaults { projector_layers: Some(3), lars: true, ..Defaults::relative(scale, 2048) }
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, or a larger `variance` in `--method-setting`",
            paper: "Bardes et al. 2022, section 4",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let weights = VicRegWeights {
            invariance: settings.own(&Self::INVARIANCE),
            variance: settings.own(&Self::VARIANCE),
            covariance: settings.own(&Self::COVARIANCE),
        };
        let config = VicRegConfig { heads: settings.heads, weights };
        Box::new(VicReg::<FEATURES, 2048, 2048, D>::new(encoder, dev, &config, rng))
    }
}
