use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Method, PairLoss, TwoViews};
use crate::backend::Backend;
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm};
use crate::init::InitRng;
use crate::objective::{Loss, nt_xent};
use crate::tensors::{Features, Taped};

/// Run-time settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimClrConfig {
    /// The projector.
    pub heads: HeadConfig,
    /// Temperature of the softmax: 0.1 on ImageNet, 0.5 on CIFAR-10 (Chen et al. 2020, appendix B).
    pub temperature: f32,
}

/// SimCLR (Chen et al. 2020): the loss [`nt_xent`] of two views' projections, `L(f(x1), f(x2))`.
pub type SimClr<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D> =
    TwoViews<SimClrConfig, FEATURES, WIDTH, DIM, D>;

impl PairLoss for SimClrConfig {
    fn heads(&self) -> &HeadConfig {
        &self.heads
    }

    fn of<const DIM: usize, D: Backend>(
        &self,
        z1: Features<D, DIM, Taped<D>>,
        z2: Features<D, DIM, Taped<D>>,
    ) -> Loss<D> {
        nt_xent(z1, z2, self.temperature)
    }

    fn of_equal(&self, images: usize, _: usize) -> f64 {
        // Every anchor is compared with all projections of the batch but itself.
        (2.0 * images as f64 - 1.0).ln()
    }
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
