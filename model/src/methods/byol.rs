use std::f64::consts::PI;

use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Batch, Method, StepLoss, Symmetry, mean, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, Predictor};
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{SpreadSums, TargetGradient, negative_cosine};

/// Run-time settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByolConfig {
    /// Projector and predictor.
    pub heads: HeadConfig,
    /// Which views predict which; symmetric in the paper.
    pub symmetry: Symmetry,
    /// Momentum of the target network at the start, 0.996; it rises to 1 on a cosine schedule. At 0 the target is the
    /// network itself; with SimSiam's heads, this is SimSiam.
    pub momentum: f64,
}

/// BYOL (Grill et al. 2020): `L = D(q(f(x1)), f'(x2)) / 2 + D(q(f(x2)), f'(x1)) / 2`, where `f'` is a moving average of
/// `f`, and `D` the negative cosine: the paper's squared distance of unit vectors is `2 + 2 D`.
#[derive(Clone, Debug)]
pub struct Byol<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
{
    /// The online network: encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    /// The predictor `q`, SimSiam's `h`.
    pub h: Predictor<DIM, HIDDEN, D>,
    /// The target network, a moving average of `f`.
    pub target: Branch<FEATURES, WIDTH, DIM, D>,
    config: ByolConfig,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
    Byol<FEATURES, WIDTH, DIM, HIDDEN, D>
{
    /// Puts the method on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &ByolConfig, rng: &InitRng) -> Self {
        let f = Branch::new(encoder, dev, rng, &config.heads);
        let h = Predictor::new(dev, &rng.child("predictor"), config.heads.norm);
        Self { target: f.clone(), f, h, config: *config }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D> Method<D>
    for Byol<FEATURES, WIDTH, DIM, HIDDEN, D>
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
        let ranks = batch.ranks;
        let targets: Vec<_> =
            pairs.iter().map(|&(_, to)| ranks.gather(self.target.target(&batch.views[to]))).collect();
        let predicting = pairs.iter().map(|&(from, _)| batch.views[from].clone()).collect();
        let mut spreads = Vec::new();
        let predictions = pass(predicting, grads, |x| {
            let z = self.f.forward_mut(x);
            spreads.push(SpreadSums::of(&ranks.gather(z.retaped::<NoneTape>())));
            ranks.gather(self.h.forward_mut(z))
        });
        let pairs = predictions.into_iter().zip(targets);
        let loss = mean(pairs.map(|(p, z)| negative_cosine(p, z, TargetGradient::Stopped)));
        StepLoss::new(loss, spreads, None)
    }

    fn end_step(&mut self, _: u64, progress: f64) {
        let momentum = 1.0 - (1.0 - self.config.momentum) * (libm::cos(PI * progress) + 1.0) / 2.0;
        self.target.follow(&self.f, if self.config.momentum == 0.0 { 0.0 } else { momentum });
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
    NamedTensors<D> for Byol<FEATURES, WIDTH, DIM, HIDDEN, D>
{
    parts! { "": f, "predictor": h, "target": target }
}

/// BYOL for the table of methods.
pub(super) struct ByolKind;

impl Kind for ByolKind {
    const NAME: &'static str = "byol";
    const ABOUT: &'static str = "Momentum target and predictor (Grill et al. 2020)";
    const REPORTED: &'static str = "66.5 (batch 4096)";
    const TAKES: &'static [&'static str] = &["predictor_lr", "symmetry", "target_momentum"];
    const DIMS: &'static [usize] = &[256];

    fn defaults(scale: Scale) -> Defaults {
        Defaults { target_momentum: Some(0.996), ..Defaults::relative(scale, 256) }
    }

    fn collapse_help(_: &Settings) -> CollapseHelp {
        CollapseHelp {
            try_this: "a lower `--base-lr`, `--warmup-epochs`, and a `--target-momentum` nearer to 1",
            paper: "Grill et al. 2020, section 5",
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let momentum = settings.target_momentum();
        let config = ByolConfig { heads: settings.heads, symmetry: settings.symmetry, momentum };
        Box::new(Byol::<FEATURES, 4096, 256, 4096, D>::new(encoder, dev, &config, rng))
    }
}
