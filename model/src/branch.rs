//! A branch of a siamese network: encoder and projector, the papers' `f`.

use dfdx::prelude::*;

use crate::backend::Backend;
use crate::encoders::Backbone;
use crate::heads::{HeadConfig, Projector};
use crate::init::InitRng;
use crate::module::{NamedTensors, follow, parts};
use crate::tensors::{Features, Taped, View, sized};

/// `images -> encoder -> features -> projector -> z`, with features of `FEATURES`, hidden layers of `WIDTH` and
/// projections of `DIM` channels.
#[derive(Clone, Debug)]
pub struct Branch<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// The encoder, whose training is the goal.
    pub encoder: Backbone<FEATURES, D>,
    /// The projection head.
    pub projector: Projector<FEATURES, WIDTH, DIM, D>,
    /// Copies of the features of training passes, if requested.
    kept: Option<Vec<f32>>,
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    Branch<FEATURES, WIDTH, DIM, D>
{
    /// Puts a projector on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    ///
    /// # Panics
    /// If the projector's depth is neither 2 nor 3.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, rng: &InitRng, config: &HeadConfig) -> Self {
        Self { encoder, projector: Projector::new(dev, &rng.child("projector"), config), kept: None }
    }

    /// Evaluation: the projection, normalised by running statistics.
    pub fn forward(&self, x: View<D>) -> Features<D, DIM> {
        self.projector.forward(self.encoder.forward(x))
    }

    /// The training pass of one view. The views of a batch pass one after the other, so batch norm's statistics are per
    /// view.
    pub fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, DIM, Taped<D>> {
        let features = self.encoder.forward_mut(x);
        if let Some(kept) = &mut self.kept {
            kept.extend(features.as_vec());
        }
        self.projector.forward_mut(features)
    }

    /// As [`forward_mut`](Self::forward_mut), but for a target: normalised by the batch's statistics, without a
    /// gradient.
    pub fn target(&mut self, x: &View<D>) -> Features<D, DIM> {
        self.forward_mut(x.clone().leaky_traced()).split_tape().0
    }

    /// `self = momentum self + (1 - momentum) leader` for every parameter. Batch norm's running statistics are not
    /// averaged, as in MoCo and BYOL: its own passes update them.
    pub fn follow(&mut self, leader: &Self, momentum: f64) {
        follow(self, leader, momentum);
    }
}

/// What evaluation needs of a network, independent of its widths.
pub trait Encoding<D: Backend> {
    /// Height and width of the full-size images.
    fn size(&self) -> usize;

    /// Length of a feature.
    fn features(&self) -> usize;

    /// Length of a projection.
    fn dim(&self) -> usize;

    /// The encoder's pooled features, `batch x features` in row-major order, normalised by running statistics.
    ///
    /// # Panics
    /// If the images are of a size that the encoder is not compiled for.
    fn encode(&self, x: View<D>) -> Vec<f32>;

    /// The projections, `batch x dim` in row-major order, normalised by running statistics.
    ///
    /// # Panics
    /// If the images are of a size that the encoder is not compiled for.
    fn project(&self, x: View<D>) -> Vec<f32>;

    /// The encoder's training pass.
    ///
    /// # Panics
    /// If the images are of a size that the encoder is not compiled for.
    fn encode_mut(&mut self, x: View<D, Taped<D>>) -> Encoded<D>;

    /// The encoder's tensors, by their names within the encoder.
    fn encoder_mut(&mut self) -> &mut dyn NamedTensors<D>;

    /// The features of the training passes since the last call, `views x batch x features`, detached. The first call
    /// returns none and starts keeping them.
    fn take_features(&mut self) -> Vec<f32>;
}

/// Features in the middle of a training pass, for a loss that is computed elsewhere.
pub struct Encoded<D: Backend> {
    /// The features, `batch x features` in row-major order.
    pub features: Vec<f32>,
    tensor: Tensor<(usize, usize), f32, D, Taped<D>>,
}

impl<D: Backend> Encoded<D> {
    /// Backpropagates the loss's gradient with respect to the features, `batch x features`, to the parameters.
    ///
    /// # Panics
    /// If the number of values differs.
    pub fn backward(self, gradient: Vec<f32>) -> Gradients<f32, D> {
        let (features, tape) = self.tensor.split_tape();
        let gradient = features.device().tensor_from_vec(gradient, *features.shape());
        (features.put_tape(tape) * gradient).sum::<Rank0, _>().backward()
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> Encoding<D>
    for Branch<FEATURES, WIDTH, DIM, D>
{
    fn size(&self) -> usize {
        self.encoder.size()
    }

    fn features(&self) -> usize {
        FEATURES
    }

    fn dim(&self) -> usize {
        DIM
    }

    fn encode(&self, x: View<D>) -> Vec<f32> {
        self.encoder.forward(x).as_vec()
    }

    fn project(&self, x: View<D>) -> Vec<f32> {
        self.forward(x).as_vec()
    }

    fn encode_mut(&mut self, x: View<D, Taped<D>>) -> Encoded<D> {
        let features = self.encoder.forward_mut(x);
        Encoded { features: features.as_vec(), tensor: sized(features) }
    }

    fn encoder_mut(&mut self) -> &mut dyn NamedTensors<D> {
        &mut self.encoder
    }

    fn take_features(&mut self) -> Vec<f32> {
        self.kept.replace(Vec::new()).unwrap_or_default()
    }
}

impl<const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for Branch<FEATURES, WIDTH, DIM, D>
{
    parts! { "encoder": encoder, "projector": projector }
}
