//! Networks by name: every method on every encoder, behind an interface without sizes.
//!
//! Sizes are part of the types: an encoder is compiled for each image size, a method for each feature width. They are
//! compiled here, for every device, so that dependent crates need not compile them again.

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
    /// A new network for full-size images of `size x size`. Its initial values depend only on `rng`'s seed and the
    /// parameters' names.
    ///
    /// # Panics
    /// If the encoder is not compiled for the size, the settings name a depth or width that is not compiled, or the
    /// device has too little memory.
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

    /// Height and width of each view of an image in a step.
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

    /// Zero gradients for all trained parameters.
    pub fn alloc_grads(&self) -> Gradients<f32, D> {
        self.method.alloc_grads()
    }

    /// The training pass of the views of `samples` that were sent to the device, with [`view_sizes`](Self::view_sizes).
    /// Its tape starts with `grads`. With several ranks, set by [`join`](NamedTensors::join), these are this rank's
    /// samples, and the loss is the whole batch's; [`sum_gradients`](Self::sum_gradients) completes its gradient.
    pub fn loss(&mut self, mut sent: D::Sent, samples: &[usize], grads: Gradients<f32, D>) -> StepLoss<D> {
        let received = |size| View::received(&self.dev, &mut sent, samples.len(), size);
        let views = self.method.view_sizes().into_iter().map(received).collect();
        drop(sent);
        self.method.loss(Batch { views, samples, ranks: &self.ranks }, grads)
    }

    /// The encoder's training pass of the only view of `images` images that were sent to the device, for another loss
    /// such as a classifier's. Its tape starts with `grads`.
    pub fn encode_mut(&mut self, mut sent: D::Sent, images: usize, grads: Gradients<f32, D>) -> Encoded<D> {
        let size = self.method.online().size();
        let view = View::received(&self.dev, &mut sent, images, size);
        self.method.online_mut().encode_mut(view.traced(grads))
    }

    /// The encoder's tensors, by their names within the encoder.
    pub fn encoder_mut(&mut self) -> &mut dyn NamedTensors<D> {
        self.method.online_mut().encoder_mut()
    }

    /// The encoder's pooled features in the training passes since the last call, `views x batch x features` in
    /// row-major order, detached. The first call returns none and starts keeping them.
    pub fn take_features(&mut self) -> Vec<f32> {
        self.method.online_mut().take_features()
    }

    /// With several ranks, sums gradients over them as soon as the next backward pass has completed each, instead of all
    /// in [`sum_gradients`](Self::sum_gradients), which then must follow.
    pub fn sum_in_backward(&self) {
        self.ranks.sum_in_backward();
    }

    /// Replaces this rank's gradients by the sums over all ranks, before an update.
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

    /// Finishes a step after the parameters have been updated. `steps` is the number of steps done, `progress` their
    /// share of all.
    pub fn end_step(&mut self, steps: u64, progress: f64) {
        self.method.end_step(steps, progress);
    }
}

impl<D: Backend> NamedTensors<D> for Network<D> {
    parts! { "": method; ranks }
}
