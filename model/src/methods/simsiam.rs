use dfdx::prelude::*;

use super::kind::{CollapseHelp, Defaults, Kind, Scale, Settings};
use super::{Batch, Method, Rows, Similarity, StepLoss, Symmetry, mean, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, HeadNorm, Predictor};
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{SpreadSums, TargetGradient, unit};
use crate::tensors::Features;

/// Run-time settings. Sizes are part of the types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimSiamConfig {
    /// Projector and predictor.
    pub heads: HeadConfig,
    /// Whether there is a predictor (Chen & He 2021, section 4.2).
    pub predictor: bool,
    /// The targets of the predictions.
    pub targets: Targets,
    /// The similarity of predictions and targets (section 4.5).
    pub similarity: Similarity,
    /// Which views predict which (section 4.6).
    pub symmetry: Symmetry,
}

/// The targets of the predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets {
    /// The other view's projection.
    Online(TargetGradient),
    /// The projection by a copy of the network that is renewed every `every` steps: section 5's alternating
    /// optimisation, which fixes `eta` while the network is trained. Renewed every step, this is SimSiam.
    Copy {
        /// Steps between renewals.
        every: u64,
    },
    /// A moving average of each image's projections over the epochs, `eta = m eta + (1 - m) z / |z|` (section 5, the
    /// expectation over augmentations). The averages start with random directions, which keep images apart until there
    /// is something to average. They take `4 DIM` bytes per image of the data.
    Average {
        /// The momentum `m`, 0.8 in the paper.
        momentum: f32,
        /// Number of images in the data.
        images: usize,
    },
}

impl SimSiamConfig {
    /// The paper's SimSiam: 3 projector layers on ImageNet, 2 on CIFAR-10.
    pub fn new(projector_layers: usize) -> Self {
        Self {
            heads: HeadConfig { projector_layers, norm: HeadNorm::Default },
            predictor: true,
            targets: Targets::Online(TargetGradient::Stopped),
            similarity: Similarity::Cosine,
            symmetry: Symmetry::Symmetric,
        }
    }
}

/// SimSiam (Chen & He 2021, algorithm 1): `z = f(x)`, `p = h(z)`, and
///
/// `L = D(p1, sg(z2)) / 2 + D(p2, sg(z1)) / 2`, equations 1 and 2, with `D` the negative cosine; its minimum is -1.
///
/// Features have `FEATURES`, the projector's hidden layers `WIDTH`, its outputs `DIM`, and the predictor's bottleneck
/// `HIDDEN` channels. One training step:
/// ```
/// # use dfdx::prelude::*;
/// use simsiam_model::collective::Ranks;
/// use simsiam_model::encoders::{Backbone, ResNet8};
/// use simsiam_model::init::InitRng;
/// use simsiam_model::methods::{Batch, Method, SimSiam, SimSiamConfig};
/// use simsiam_model::{LearningRates, Sgd, SgdConfig, View};
///
/// let (dev, rng) = (Cpu::default(), InitRng::new(0));
/// let encoder = Backbone::new::<ResNet8<Cpu>>(32, &dev, &rng.child("encoder"));
/// let mut model = SimSiam::<64, 32, 32, 8, Cpu>::new(encoder, &dev, &SimSiamConfig::new(2), &rng);
/// let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
/// let grads = model.alloc_grads(); // once; every step hands it on
/// # let view = |seed: f32| (0..4 * 3072).map(|i| (i as f32 * seed).sin()).collect::<Vec<_>>();
/// # let (first, second) = (view(0.11), view(0.13));
///
/// let views = vec![View::copied(&dev, 32, &first), View::copied(&dev, 32, &second)];
/// let batch = Batch { views, samples: &[0, 1, 2, 3], ranks: &Ranks::default() };
/// let loss = model.loss(batch, grads).loss;
/// assert!((-1.0..=1.0).contains(&loss.array()));
/// let mut grads = loss.backward();
/// sgd.update(&mut model, &mut grads, &LearningRates::all(0.03)).unwrap();
/// model.zero_grads(&mut grads);
/// ```
#[derive(Clone, Debug)]
pub struct SimSiam<
    const FEATURES: usize,
    const WIDTH: usize,
    const DIM: usize,
    const HIDDEN: usize,
    D: Backend,
> {
    /// Encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    /// The predictor.
    pub h: Option<Predictor<DIM, HIDDEN, D>>,
    /// The copy of `f` that computes the targets, if there is one.
    copy: Option<Branch<FEATURES, WIDTH, DIM, D>>,
    /// The moving average of each image's directions, if there is one.
    average: Option<Rows<DIM, D>>,
    config: SimSiamConfig,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
    SimSiam<FEATURES, WIDTH, DIM, HIDDEN, D>
{
    /// Puts the method on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    ///
    /// # Panics
    /// If the projector's depth is neither 2 nor 3.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, config: &SimSiamConfig, rng: &InitRng) -> Self {
        let f = Branch::new(encoder, dev, rng, &config.heads);
        let predictor = || Predictor::new(dev, &rng.child("predictor"), config.heads.norm);
        let average = match config.targets {
            Targets::Average { images, .. } => Some(Rows::new(dev, &rng.child("average"), images)),
            _ => None,
        };
        Self {
            h: config.predictor.then(predictor),
            copy: matches!(config.targets, Targets::Copy { .. }).then(|| f.clone()),
            average,
            f,
            config: *config,
        }
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D> Method<D>
    for SimSiam<FEATURES, WIDTH, DIM, HIDDEN, D>
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
        let SimSiamConfig { targets, similarity, symmetry, .. } = self.config;
        let ranks = batch.ranks;
        let copied: Option<Vec<_>> =
            self.copy.as_mut().map(|copy| batch.views.iter().map(|x| ranks.gather(copy.target(x))).collect());

        // This rank's projections, which are sent on, and all of them, which are compared.
        let (mut outputs, z): (Vec<_>, Vec<_>) = pass(batch.views, grads, |x| {
            let own = self.f.forward_mut(x);
            let z = own.retaped::<NoneTape>();
            let (all, tape) = ranks.gather(own).split_tape();
            ((z, Some(tape)), all)
        })
        .into_iter()
        .unzip();
        let spreads = z.iter().map(SpreadSums::of).collect();
        let targets_of_views = match targets {
            Targets::Online(_) => z.clone(),
            Targets::Copy { .. } => copied.expect("there is a copy to make them"),
            Targets::Average { momentum, .. } => {
                let average = self.average.as_mut().expect("there is an average to renew");
                renewed(average, &ranks.all_gather(batch.samples), &z, momentum)
            }
        };

        let target_gradient = match targets {
            Targets::Online(gradient) => gradient,
            Targets::Copy { .. } | Targets::Average { .. } => TargetGradient::Stopped,
        };
        let mut pair_loss = |&(from, to): &(usize, usize)| {
            let (z, tape) = &mut outputs[from];
            let z = z.clone().put_tape(tape.take().expect("each view predicts once"));
            let p = match &mut self.h {
                Some(h) => h.forward_mut(z),
                None => z,
            };
            similarity.loss(ranks.gather(p), targets_of_views[to].clone(), target_gradient)
        };
        let losses: Vec<_> = symmetry.pairs().iter().map(&mut pair_loss).collect();
        let (loss, mut tape) = mean(losses.into_iter()).split_tape();
        if target_gradient == TargetGradient::Flows {
            for unused in outputs.into_iter().filter_map(|(_, tape)| tape) {
                tape = tape.merge(unused);
            }
        }
        StepLoss::new(loss.put_tape(tape), spreads, None)
    }

    fn end_step(&mut self, steps: u64, _: f64) {
        if let (Some(copy), Targets::Copy { every }) = (&mut self.copy, self.config.targets)
            && steps.is_multiple_of(every)
        {
            copy.follow(&self.f, 0.0);
        }
    }
}

/// Each view's targets `m eta + (1 - m) z / |z|` by the average before this step, which then takes in the mean of them.
fn renewed<const DIM: usize, D: Backend>(
    average: &mut Rows<DIM, D>,
    samples: &[usize],
    z: &[Features<D, DIM>],
    momentum: f32,
) -> Vec<Features<D, DIM>> {
    let eta = average.gather(samples);
    let targets: Vec<_> =
        z.iter().map(|z| eta.clone() * momentum + unit(z.clone()) * (1.0 - momentum)).collect();
    let sum = targets.iter().cloned().reduce(|a, b| a + b).expect("there is a view");
    average.scatter(samples, &(sum * (1.0 / targets.len() as f32)));
    targets
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
    NamedTensors<D> for SimSiam<FEATURES, WIDTH, DIM, HIDDEN, D>
{
    parts! { "": f, "predictor": h, "target": copy, "average": average }
}

/// SimSiam for the table of methods.
pub(super) struct SimSiamKind;

impl SimSiamKind {
    fn targets(settings: &Settings) -> Targets {
        match (settings.average_of, settings.copy_every) {
            (Some(images), _) => Targets::Average { momentum: settings.target_momentum() as f32, images },
            (None, Some(every)) => Targets::Copy { every },
            (None, None) if settings.stop_gradient => Targets::Online(TargetGradient::Stopped),
            (None, None) => Targets::Online(TargetGradient::Flows),
        }
    }
}

impl Kind for SimSiamKind {
    const NAME: &'static str = "simsiam";
    const ABOUT: &'static str = "Stop-gradient and predictor (Chen & He 2021)";
    const REPORTED: &'static str = "68.1 (batch 256)";
    const TAKES: &'static [&'static str] = &[
        "stop_gradient",
        "predictor",
        "predictor_lr",
        "similarity",
        "symmetry",
        "target",
        "target_momentum",
        "alternate_steps",
        "projector_dim",
    ];
    const DIMS: &'static [usize] = &[256, 512, 1024, 2048];

    fn defaults(scale: Scale) -> Defaults {
        Defaults {
            projector_layers: None,
            norm: HeadNorm::Default,
            predictor_decays: false,
            base_lr: None,
            ..Defaults::relative(scale, 2048)
        }
    }

    fn check(settings: &Settings) -> Result<(), &'static str> {
        let averages = settings.average_of.is_some();
        if settings.target_momentum.is_some() && !averages {
            return Err("--target-momentum without --target moving-average: nothing follows anything");
        }
        if !settings.stop_gradient && (averages || settings.copy_every.is_some()) {
            return Err(
                "--stop-gradient false with targets that are computed beforehand: no gradient could flow into them",
            );
        }
        if averages && settings.copy_every.is_some() {
            return Err("--target moving-average with --alternate-steps: each replaces the targets");
        }
        Ok(())
    }

    fn collapse_help(settings: &Settings) -> CollapseHelp {
        if !settings.stop_gradient {
            CollapseHelp { try_this: "`--stop-gradient true`", paper: "Chen & He 2021, section 4.1" }
        } else if !settings.predictor && settings.average_of.is_none() {
            CollapseHelp { try_this: "`--predictor mlp`", paper: "Chen & He 2021, section 4.2" }
        } else {
            CollapseHelp {
                try_this: "a lower `--base-lr`, and batch norm in the heads (`--mlp-bn default`)",
                paper: "Chen & He 2021, section 4",
            }
        }
    }

    fn on<const FEATURES: usize, D: Backend>(
        encoder: Backbone<FEATURES, D>,
        dev: &D,
        settings: &Settings,
        rng: &InitRng,
    ) -> Box<dyn Method<D>> {
        let config = &SimSiamConfig {
            heads: settings.heads,
            predictor: settings.predictor,
            targets: Self::targets(settings),
            similarity: settings.similarity,
            symmetry: settings.symmetry,
        };
        match settings.dim {
            256 => Box::new(SimSiam::<FEATURES, 2048, 256, 64, D>::new(encoder, dev, config, rng)),
            512 => Box::new(SimSiam::<FEATURES, 2048, 512, 128, D>::new(encoder, dev, config, rng)),
            1024 => Box::new(SimSiam::<FEATURES, 2048, 1024, 256, D>::new(encoder, dev, config, rng)),
            2048 => Box::new(SimSiam::<FEATURES, 2048, 2048, 512, D>::new(encoder, dev, config, rng)),
            other => panic!("{other} is none of {:?}", Self::DIMS),
        }
    }
}
