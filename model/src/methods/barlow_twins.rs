use super::kind::{CollapseHelp, Defaults, Kind, OwnSetting, Scale, Settings};
use super::{Method, PairLoss, TwoViews};
use crate::backend::Backend;
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm};
use crate::init::InitRng;
use crate::objective::{Loss, barlow_twins};
use crate::tensors::{Features, Taped};

/// Run-time settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarlowTwinsConfig {
    /// The projector, whose output has batch norm.
    pub heads: HeadConfig,
    /// Weight of the correlations between different channels: 0.0051.
    pub lambda: f32,
    /// Factor of the whole loss.
    pub scale: f32,
}

/// Barlow Twins (Zbontar et al. 2021): the loss [`barlow_twins`] of two views' projections. The projector's last batch
/// norm is the paper's normalisation along the batch dimension.
pub type BarlowTwins<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> =
    TwoViews<BarlowTwinsConfig, FEATURES, WIDTH, DIM, D>;

impl PairLoss for BarlowTwinsConfig {
    fn heads(&self) -> &HeadConfig {
        &self.heads
    }

    fn of<const DIM: usize, D: Backend>(
        &self,
        z1: Features<D, DIM, Taped<D>>,
        z2: Features<D, DIM, Taped<D>>,
    ) -> Loss<D> {
        barlow_twins(z1, z2, self.lambda) * self.scale
    }

    fn of_equal(&self, _: usize, dim: usize) -> f64 {
        // Behind batch norm equal projections are 0 in all channels, which then correlate with nothing.
        f64::from(self.scale) * dim as f64
    }
}

/// Barlow Twins for the table of methods.
pub(super) struct BarlowTwinsKind;

impl BarlowTwinsKind {
    const LAMBDA: OwnSetting = OwnSetting {
        key: "lambda",
        about: "what the correlations of different channels weigh",
        default: 0.0051,
        range: (0.0, 1.0),
    };
    /// The authors' is 0.024, for LARS and a loss over 8,192 channels.
    const SCALE: OwnSetting = OwnSetting {
        key: "loss_scale",
        about: "what the whole loss is multiplied by",
        default: 0.024,
        range: (1e-6, 1e3),
    };
}

impl Kind for BarlowTwinsKind {
    const NAME: &'static str = "barlow-twins";
    const ABOUT: &'static str = "Two views' cross-correlation towards the identity (Zbontar et al. 2021)";
    const TAKES: &'static [&'static str] = &[];
    const OWN: &'static [OwnSetting] = &[Self::LAMBDA, Self::SCALE];
    const DIMS: &'static [usize] = &[2048];

    fn defaults(scale: Scale) -> Defaults {
        let projector_layers = Some(3);
        Defaults { projector_layers, norm: HeadNorm::Default, lars: true, ..Defaults::relative(scale, 2048) }
    }

    fn check(settings: &Settings) -> Result<(), &'static str> {
        if settings.heads.norm != HeadNorm::Default {
            return Err(
                "--mlp-bn must be default with --method barlow-twins: its correlations are of normalised outputs",
            );
        }
        Ok(())
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, or `--warmup-epochs`",
            paper: "Zbontar et al. 2021, section 4",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let (lambda, scale) = (settings.own(&Self::LAMBDA), settings.own(&Self::SCALE));
        let config = BarlowTwinsConfig { heads: settings.heads, lambda, scale };
        Box::new(BarlowTwins::<FEATURES, 2048, 2048, D>::new(encoder, dev, &config, rng))
    }
}
