use dfdx::prelude::*;

use super::{Batch, Method, StepLoss, pass};
use crate::backend::Backend;
use crate::branch::{Branch, Encoding};
use crate::encoders::Backbone;
use crate::heads::HeadConfig;
use crate::init::InitRng;
use crate::module::{NamedTensors, parts};
use crate::objective::{Loss, SpreadSums};
use crate::tensors::{Features, Taped};

/// A loss of two views' projections, with the settings of a method that consists of nothing else.
pub trait PairLoss: Copy {
    /// The projector.
    fn heads(&self) -> &HeadConfig;

    /// The loss of the projections of a batch's two views.
    fn of<const DIM: usize, D: Backend>(
        &self,
        z1: Features<D, DIM, Taped<D>>,
        z2: Features<D, DIM, Taped<D>>,
    ) -> Loss<D>;

    /// The loss if all images had the same projection, for this number of images and channels.
    fn of_equal(&self, images: usize, dim: usize) -> f64;
}

/// A method that sends two views through one network and minimises a loss `L` of their projections.
#[derive(Clone, Debug)]
pub struct TwoViews<L, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> {
    /// Encoder and projector.
    pub f: Branch<FEATURES, WIDTH, DIM, D>,
    loss: L,
}

impl<L: PairLoss, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend>
    TwoViews<L, FEATURES, WIDTH, DIM, D>
{
    /// Puts the method on an encoder. Its initial values depend only on `rng`'s seed and the parameters' names.
    pub fn new(encoder: Backbone<FEATURES, D>, dev: &D, loss: &L, rng: &InitRng) -> Self {
        Self { f: Branch::new(encoder, dev, rng, loss.heads()), loss: *loss }
    }
}

impl<L: PairLoss, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> Method<D>
    for TwoViews<L, FEATURES, WIDTH, DIM, D>
{
    fn online(&self) -> &dyn Encoding<D> {
        &self.f
    }

    fn online_mut(&mut self) -> &mut dyn Encoding<D> {
        &mut self.f
    }

    fn loss(&mut self, batch: Batch<'_, D>, grads: Gradients<f32, D>) -> StepLoss<D> {
        let z = pass(batch.views, grads, |x| batch.ranks.gather(self.f.forward_mut(x)));
        let spreads = z.iter().map(SpreadSums::of).collect();
        let [z1, z2] = <[_; 2]>::try_from(z).unwrap_or_else(|_| unreachable!("there are two views"));
        let equal_loss = Some(self.loss.of_equal(z1.shape().0, DIM));
        StepLoss::new(self.loss.of(z1, z2), spreads, equal_loss)
    }
}

impl<L, const FEATURES: usize, const WIDTH: usize, const DIM: usize, D: Backend> NamedTensors<D>
    for TwoViews<L, FEATURES, WIDTH, DIM, D>
{
    parts! { "": f }
}
