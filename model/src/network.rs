//! Networks by name: every method on every encoder, built once, behind an interface without their sizes.
//!
//! Sizes are types. An encoder is compiled for each size of images, a method for each width of features: here, for every
//! device, so that no crate that uses them need do it again.

use dfdx::prelude::*;

use crate::arch::Arch;
use crate::backend::Backend;
use crate::branch::Encoded;
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::methods::{Batch, Method, MethodName, Settings, StepLoss};
use crate::module::{NamedTensors, parts};
use crate::tensors::View;

/// A device that networks are compiled for.
pub trait Networks: Backend {
    /// The network at its beginning, for full-size images of `size x size`; its initial values are a function of `rng`'s seed and
    /// of the parameters' names.
    ///
    /// # Panics
    /// If the encoder is not compiled for the size, the method's settings name a depth or a width that is not compiled, or
    /// the device has not enough memory.
    fn network(
        &self,
        arch: Arch,
        size: usize,
        method: MethodName,
        settings: &Settings,
        rng: &InitRng,
    ) -> Network<Self>;
}

impl Networks for Cpu {
    fn network(
        &self,
        arch: Arch,
        size: usize,
        method: MethodName,
        settings: &Settings,
        rng: &InitRng,
    ) -> Network<Self> {
        Network::new(self, arch, size, method, settings, rng)
    }
}

#[cfg(feature = "cuda")]
impl Networks for Cuda {
    fn network(
        &self,
        arch: Arch,
        size: usize,
        method: MethodName,
        settings: &Settings,
        rng: &InitRng,
    ) -> Network<Self> {
        Network::new(self, arch, size, method, settings, rng)
    }
}

/// A [`Method`] on an encoder and a device. Images are `batch x 3 x size x size` values.
pub struct Network<D: Backend> {
    method: Box<dyn Method<D>>,
    dev: D,
    ranks: Ranks,
}

impl<D: Backend> Network<D> {
    fn new(dev: &D, arch: Arch, size: usize, method: MethodName, settings: &Settings, rng: &InitRng) -> Self {
        let method = arch.under(size, method, settings, dev, rng);
        let method = method.unwrap_or_else(|| panic!("{arch} is not compiled for images of {size} x {size}"));
        Self { method, dev: dev.clone(), ranks: Ranks::default() }
    }

    /// Height and width of each view of an image that a step takes.
    pub fn view_sizes(&self) -> Vec<usize> {
        self.method.view_sizes()
    }

    /// Length of a feature.
    pub fn features(&self) -> usize {
        self.method.online().features()
    }

    /// Length of a projection.
    pub fn dim(&self) -> usize {
        self.method.online().dim()
    }

    /// Evaluation: the encoder's pooled features.
    pub fn encode(&self, images: &[f32]) -> Vec<f32> {
        self.method.online().encode(self.copied(images))
    }

    /// Evaluation: the projections.
    pub fn project(&self, images: &[f32]) -> Vec<f32> {
        self.method.online().project(self.copied(images))
    }

    fn copied(&self, images: &[f32]) -> View<D> {
        View::copied(&self.dev, self.method.online().size(), images)
    }

    /// Gradients of 0 for all trained parameters.
    pub fn alloc_grads(&self) -> Gradients<f32, D> {
        self.method.alloc_grads()
    }

    /// The training pass of the views of `samples` that were sent to the device, of the [`view_sizes`](Self::view_sizes); its
    /// tape begins with `grads`. Among several ranks, that [`join`](NamedTensors::join) told of, these are this rank's samples and
    /// the loss is the whole batch's; [`sum_gradients`](Self::sum_gradients) completes its gradient.
    pub fn loss(&mut self, mut sent: D::Sent, samples: &[usize], grads: Gradients<f32, D>) -> StepLoss<D> {
        let received = |size| View::received(&self.dev, &mut sent, samples.len(), size);
        let views = self.method.view_sizes().into_iter().map(received).collect();
        drop(sent);
        self.method.loss(Batch { views, samples, ranks: &self.ranks }, grads)
    }

    /// The encoder's training pass of the only view of `images` images that were sent to the device; its tape begins with
    /// `grads`. For a loss of its own, as a classifier's.
    pub fn encode_mut(&mut self, mut sent: D::Sent, images: usize, grads: Gradients<f32, D>) -> Encoded<D> {
        let size = self.method.online().size();
        let view = View::received(&self.dev, &mut sent, images, size);
        self.method.online_mut().encode_mut(view.traced(grads))
    }

    /// The encoder's tensors, by names without the encoder's own.
    pub fn encoder_mut(&mut self) -> &mut dyn NamedTensors<D> {
        self.method.online_mut().encoder_mut()
    }

    /// The encoder's pooled features in the training passes since the last call, `views x batch x features` in row-major order, without a
    /// gradient. There are none before the first call, which begins to keep them.
    pub fn take_features(&mut self) -> Vec<f32> {
        self.method.online_mut().take_features()
    }

    /// Replaces the gradients of this rank's images by the sums over all ranks, before an update.
    ///
    /// # Errors
    /// If the device fails.
    pub fn sum_gradients(&self, grads: &mut Gradients<f32, D>) -> Result<(), D::Err> {
        self.ranks.sum_gradients(self, grads)
    }

    /// Sets the gradients of all trained parameters to 0 and drops all others.
    pub fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.method.zero_grads(grads);
    }

    /// What is left to do once the parameters have been updated, after `steps`, a share `progress` of all.
    pub fn end_step(&mut self, steps: u64, progress: f64) {
        self.method.end_step(steps, progress);
    }
}

impl<D: Backend> NamedTensors<D> for Network<D> {
    parts! { "": method; ranks }
}
