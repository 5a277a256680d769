//! A branch of a siamese network: encoder and projector, the papers' `f`.

use dfdx::nn::{ModelEMA, ZeroGrads};
use dfdx::prelude::*;

use crate::backend::Backend;
use crate::encoders::Encoder;
use crate::heads::{HeadConfig, Projector};
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, Read, Write, joined, visit, visit_mut};
use crate::tensors::{Features, Images, Taped};

/// `images -> encoder -> features -> projector -> z`, with features of `FEATURES`, hidden layers of `WIDTH` and
/// projections of `DIM` channels.
#[derive(Clone, Debug)]
pub struct Branch<E, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// The backbone; what training is for.
    pub encoder: E,
    /// The projection head.
    pub projector: Projector<FEATURES, WIDTH, DIM, D>,
}

impl<E: Module<D>, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    Branch<E, FEATURES, WIDTH, DIM, D>
{
    /// Builds the branch; its initial values are a function of `rng`'s seed and of the parameters' names.
    ///
    /// # Panics
    /// If the projector's depth is neither 2 nor 3.
    pub fn new(dev: &D, rng: &InitRng, config: &HeadConfig) -> Self {
        Self {
            encoder: E::new(dev, &rng.child("encoder")),
            projector: Projector::new(dev, &rng.child("projector"), config),
        }
    }

    /// Evaluation: the projection, normalised by running statistics.
    pub fn forward<const SIZE: usize>(&self, x: Images<D, 3, SIZE>) -> Features<D, DIM>
    where
        E: Encoder<D, SIZE, FEATURES>,
    {
        self.projector.forward(self.encoder.forward(x))
    }

    /// The training pass of one view. The views of a batch go through one after the other, so that batch norm's
    /// statistics are per view.
    pub fn forward_mut<const SIZE: usize>(
        &mut self,
        x: Images<D, 3, SIZE, Taped<D>>,
    ) -> Features<D, DIM, Taped<D>>
    where
        E: Encoder<D, SIZE, FEATURES>,
    {
        self.projector.forward_mut(self.encoder.forward_mut(x))
    }

    /// [`forward_mut`](Self::forward_mut) as a target: normalised by the batch's statistics, but without a gradient.
    pub fn target<const SIZE: usize>(&mut self, x: &Images<D, 3, SIZE>) -> Features<D, DIM>
    where
        E: Encoder<D, SIZE, FEATURES>,
    {
        self.forward_mut(x.clone().leaky_traced()).split_tape().0
    }

    /// `self = momentum self + (1 - momentum) leader` for every parameter (dfdx's `ModelEMA`). The running statistics
    /// of batch norm stay its own, as in MoCo and BYOL: its own passes renew them.
    pub fn follow(&mut self, leader: &Self, momentum: f64) {
        self.encoder.ema(&leader.encoder, momentum);
        self.projector.follow(&leader.projector, momentum);
    }

    pub(crate) fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.encoder.zero_grads(grads);
        self.projector.zero_grads(grads);
    }
}

impl<E: Module<D>, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for Branch<E, FEATURES, WIDTH, DIM, D>
{
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>) {
        visit(&self.encoder, &joined(prefix, "encoder"), each);
        self.projector.visit(&joined(prefix, "projector"), each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err> {
        visit_mut(&mut self.encoder, &joined(prefix, "encoder"), each)?;
        self.projector.visit_mut(&joined(prefix, "projector"), each)
    }
}
