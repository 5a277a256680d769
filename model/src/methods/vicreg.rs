use super::kind::{CollapseHelp, Defaults, Kind, OwnSetting, Scale, Settings};
use super::{Method, PairLoss, TwoViews};
use crate::backend::Backend;
use crate::encoders::Backbone;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::objective::{Loss, VicRegWeights, vicreg};
use crate::tensors::{Features, Taped};

/// Run-time settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VicRegConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// Weights of the terms: 25, 25 and 1.
    pub weights: VicRegWeights,
}

/// VICReg (Bardes et al. 2022): the loss [`vicreg`] of two views' projections.
pub type VicReg<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> =
    TwoViews<VicRegConfig, FEATURES, WIDTH, DIM, D>;

impl PairLoss for VicRegConfig {
    fn heads(&self) -> &HeadConfig {
        &self.heads
    }

    fn of<const DIM: usize, D: Backend>(
        &self,
        z1: Features<D, DIM, Taped<D>>,
        z2: Features<D, DIM, Taped<D>>,
    ) -> Loss<D> {
        vicreg(z1, z2, self.weights)
    }

    fn of_equal(&self, _: usize, _: usize) -> f64 {
        // Without any variance each channel lacks all but the root of 1e-4.
        f64::from(self.weights.variance) * 0.99
    }
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
