//! SimSiam: an encoder, a projector and a predictor (Chen & He 2021, figure 1).

use dfdx::nn::ZeroGrads;
use dfdx::prelude::*;

use crate::backend::Backend;
use crate::encoders::Encoder;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, ReadVisitor, WriteVisitor, visit, visit_mut};
use crate::tensors::{Features, Images, Taped};

mod predictor;
pub use predictor::Predictor;

mod projector;
pub use projector::{Hidden, Projector};

/// What is chosen when a program runs; sizes are types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimSiamConfig {
    /// Layers of the projector: 3 on ImageNet, 2 on CIFAR-10 (the paper's sections 3 and D).
    pub projector_layers: usize,
}

impl Default for SimSiamConfig {
    /// The ImageNet recipe.
    fn default() -> Self {
        Self { projector_layers: 3 }
    }
}

/// `images -> encoder -> projector = z -> predictor = p`, with features of `FEATURES`, outputs of `DIM` and the
/// predictor's bottleneck of `HIDDEN` channels.
///
/// One training step:
/// ```
/// # use dfdx::prelude::*;
/// use simsiam_model::{LearningRates, Sgd, SgdConfig, SimSiam, SimSiamConfig, TargetGradient};
/// use simsiam_model::{encoders::ResNet8, images_from, objective};
///
/// let dev = Cpu::default();
/// let config = SimSiamConfig { projector_layers: 2 };
/// let mut model = SimSiam::<ResNet8<Cpu>, 64, 32, 8, Cpu>::new(&dev, &config, 0);
/// let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
/// let grads = model.alloc_grads(); // once; every step hands it on
/// # let batch = |seed: f32| (0..4 * 3072).map(|i| (i as f32 * seed).sin()).collect::<Vec<_>>();
/// # let (first, second) = (batch(0.11), batch(0.13));
///
/// let view1 = model.forward_mut(images_from::<_, 3, 32>(&dev, &first).traced(grads));
/// let view2 = model.forward_mut(images_from::<_, 3, 32>(&dev, &second).leaky_traced());
/// let loss = objective::symmetric_loss(view1, view2, TargetGradient::Stopped);
/// assert!((-1.0..=1.0).contains(&loss.array()));
/// let mut grads = loss.backward();
/// sgd.update(&mut model, &mut grads, LearningRates { base: 0.03, predictor: 0.03 }).unwrap();
/// model.zero_grads(&mut grads);
/// ```
#[derive(Clone, Debug)]
pub struct SimSiam<E, const FEATURES: usize, const DIM: usize, const HIDDEN: usize, D: Backend> {
    /// The backbone; what training is for.
    pub encoder: E,
    /// The projection head, part of the paper's `f`.
    pub projector: Projector<FEATURES, DIM, D>,
    /// The prediction head, the paper's `h`.
    pub predictor: Predictor<DIM, HIDDEN, D>,
}

/// One view's outputs.
pub struct View<D: Backend, const DIM: usize> {
    /// The projector's output. It has no tape, but the identity that it has on `p`'s, so a gradient may flow into it.
    pub z: Features<D, DIM>,
    /// The predictor's output, with the tape of the whole pass.
    pub p: Features<D, DIM, Taped<D>>,
}

impl<E, const FEATURES: usize, const DIM: usize, const HIDDEN: usize, D: Backend>
    SimSiam<E, FEATURES, DIM, HIDDEN, D>
{
    /// Builds the network; its initial values are a function of `seed` and of the parameters' names.
    ///
    /// # Panics
    /// If the projector's depth is neither 2 nor 3.
    pub fn new(dev: &D, config: &SimSiamConfig, seed: u64) -> Self
    where
        E: Module<D>,
    {
        let rng = InitRng::new(seed);
        Self {
            encoder: E::new(dev, &rng.child("encoder")),
            projector: Projector::new(dev, &rng.child("projector"), config.projector_layers),
            predictor: Predictor::new(dev, &rng.child("predictor")),
        }
    }

    /// The training pass of one view. The two views of a batch go through one after the other, so that batch norm's
    /// statistics are per view.
    pub fn forward_mut<const SIZE: usize>(&mut self, x: Images<D, 3, SIZE, Taped<D>>) -> View<D, DIM>
    where
        E: Encoder<D, SIZE, FEATURES>,
    {
        let features = self.encoder.forward_mut(x);
        let (z, tape) = self.projector.forward_mut(features).split_tape();
        View { z: z.clone(), p: self.predictor.forward_mut(z.put_tape(tape)) }
    }

    /// Evaluation: the projector's output, normalised by running statistics.
    pub fn project<const SIZE: usize>(&self, x: Images<D, 3, SIZE>) -> Features<D, DIM>
    where
        E: Encoder<D, SIZE, FEATURES>,
    {
        self.projector.forward(self.encoder.forward(x))
    }

    /// Gradients of 0 for all parameters. A tape that begins with them keeps no other gradient after its backward
    /// pass.
    pub fn alloc_grads(&self) -> Gradients<f32, D>
    where
        E: Module<D>,
    {
        let mut grads = Gradients::leaky();
        self.zero_grads(&mut grads);
        grads
    }

    /// Sets the gradients of all parameters to 0 and drops all others.
    pub fn zero_grads(&self, grads: &mut Gradients<f32, D>)
    where
        E: Module<D>,
    {
        self.encoder.zero_grads(grads);
        self.projector.zero_grads(grads);
        self.predictor.zero_grads(grads);
    }
}

impl<E: Module<D>, const FEATURES: usize, const DIM: usize, const HIDDEN: usize, D: Backend> NamedTensors<D>
    for SimSiam<E, FEATURES, DIM, HIDDEN, D>
{
    fn visit<V: ReadVisitor<D>>(&self, prefix: &str, visitor: &mut V) -> Result<(), V::Err> {
        visit(&self.encoder, &join(prefix, "encoder"), visitor)?;
        self.projector.visit(&join(prefix, "projector"), visitor)?;
        visit(&self.predictor, &join(prefix, "predictor"), visitor)
    }

    fn visit_mut<V: WriteVisitor<D>>(&mut self, prefix: &str, visitor: &mut V) -> Result<(), V::Err> {
        visit_mut(&mut self.encoder, &join(prefix, "encoder"), visitor)?;
        self.projector.visit_mut(&join(prefix, "projector"), visitor)?;
        visit_mut(&mut self.predictor, &join(prefix, "predictor"), visitor)
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}
