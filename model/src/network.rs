//! Networks by name: every architecture with every method, built once, behind an interface without their sizes.
//!
//! Sizes are types in `simsiam-model`, so each combination is compiled by itself. What uses a network, such as the training loop,
//! is compiled once.

use dfdx::prelude::*;
use simsiam_model::encoders as e;
use simsiam_model::methods::{self as m, Batch, StepLoss};
use simsiam_model::module::{NamedTensors, Read, Write};
use simsiam_model::{Backend, Encoder, Images, images_from};

use crate::arch::Arch;
use crate::config::{Method, PROTOTYPES, TrainConfig};

/// A [`Method`](simsiam_model::methods::Method) on an encoder. Images are `batch x 3 x size x size` values.
pub trait Network<D: Backend>: NamedTensors<D> {
    /// Views of each image that a step takes.
    fn views(&self) -> usize;

    /// Length of a feature.
    fn features(&self) -> usize;

    /// Length of a projection.
    fn dim(&self) -> usize;

    /// Evaluation: the encoder's pooled features.
    fn encode(&self, images: &[f32]) -> Vec<f32>;

    /// Evaluation: the projections.
    fn project(&self, images: &[f32]) -> Vec<f32>;

    /// Gradients of 0 for all trained parameters.
    fn alloc_grads(&self) -> Gradients<f32, D>;

    /// The training pass of the views of `samples` that were sent to the device; its tape begins with `grads`.
    fn loss(&mut self, views: D::Sent, samples: &[usize], grads: Gradients<f32, D>) -> StepLoss<D>;

    /// Sets the gradients of all trained parameters to 0 and drops all others.
    fn zero_grads(&self, grads: &mut Gradients<f32, D>);

    /// What is left to do once the parameters have been updated, after `steps`, a share `progress` of all.
    fn end_step(&mut self, steps: u64, progress: f64);
}

/// The network of a run at its beginning, for `images` of data in `steps_per_epoch` batches.
pub fn build<D: Backend>(
    dev: &D,
    config: &TrainConfig,
    images: usize,
    steps_per_epoch: u64,
) -> Box<dyn Network<D>> {
    let data = (images, steps_per_epoch);
    match config.arch {
        Arch::Resnet8 => on_encoder::<D, e::ResNet8<D>, 32, 64>(dev, config, data),
        Arch::Resnet20 => on_encoder::<D, e::ResNet20<D>, 32, 64>(dev, config, data),
        Arch::Resnet18Cifar => on_encoder::<D, e::ResNet18Cifar<D>, 32, 512>(dev, config, data),
        Arch::Resnet18 => on_encoder::<D, e::ResNet18<D>, 224, 512>(dev, config, data),
        Arch::Resnet34 => on_encoder::<D, e::ResNet34<D>, 224, 512>(dev, config, data),
        Arch::Resnet50 => on_encoder::<D, e::ResNet50<D>, 224, 2048>(dev, config, data),
    }
}

fn on_encoder<D: Backend, E, const SIZE: usize, const FEATURES: usize>(
    dev: &D,
    config: &TrainConfig,
    (images, steps_per_epoch): (usize, u64),
) -> Box<dyn Network<D>>
where
    E: Encoder<D, SIZE, FEATURES> + 'static,
{
    let seed = config.seed;
    let simsiam = || config.simsiam(images, steps_per_epoch);
    macro_rules! network {
        ($method:expr) => {
            Box::new(Unsized::<_, D, SIZE, FEATURES> { method: $method, dev: dev.clone() })
        };
    }
    match (config.method, config.projector_dim) {
        (Method::Simsiam, 256) => {
            network!(m::SimSiam::<E, FEATURES, 2048, 256, 64, D>::new(dev, &simsiam(), seed))
        }
        (Method::Simsiam, 512) => {
            network!(m::SimSiam::<E, FEATURES, 2048, 512, 128, D>::new(dev, &simsiam(), seed))
        }
        (Method::Simsiam, 1024) => {
            network!(m::SimSiam::<E, FEATURES, 2048, 1024, 256, D>::new(dev, &simsiam(), seed))
        }
        (Method::Simsiam, _) => {
            network!(m::SimSiam::<E, FEATURES, 2048, 2048, 512, D>::new(dev, &simsiam(), seed))
        }
        (Method::Byol, _) => {
            network!(m::Byol::<E, FEATURES, 4096, 256, 4096, D>::new(dev, &config.byol(), seed))
        }
        (Method::Simclr, _) => {
            network!(m::SimClr::<E, FEATURES, 2048, 128, D>::new(dev, &config.simclr(), seed))
        }
        (Method::Mocov2, _) => {
            network!(m::MoCoV2::<E, FEATURES, 2048, 128, D>::new(dev, &config.mocov2(), seed))
        }
        (Method::Swav, _) => {
            network!(m::SwAv::<E, FEATURES, 2048, 128, PROTOTYPES, D>::new(dev, &config.swav(), seed))
        }
    }
}

/// A method whose sizes are no longer part of what it looks like.
struct Unsized<M, D, const SIZE: usize, const FEATURES: usize> {
    method: M,
    dev: D,
}

impl<M, D: Backend, const SIZE: usize, const FEATURES: usize> Network<D> for Unsized<M, D, SIZE, FEATURES>
where
    M: m::Method<D, SIZE>,
    M::Encoder: Encoder<D, SIZE, FEATURES>,
{
    fn views(&self) -> usize {
        self.method.views()
    }

    fn features(&self) -> usize {
        FEATURES
    }

    fn dim(&self) -> usize {
        M::DIM
    }

    fn encode(&self, images: &[f32]) -> Vec<f32> {
        self.method.encoder().forward(images_from(&self.dev, images)).as_vec()
    }

    fn project(&self, images: &[f32]) -> Vec<f32> {
        self.method.project(images_from(&self.dev, images))
    }

    fn alloc_grads(&self) -> Gradients<f32, D> {
        self.method.alloc_grads()
    }

    fn loss(&mut self, mut views: D::Sent, samples: &[usize], grads: Gradients<f32, D>) -> StepLoss<D> {
        let mut view = || received(&self.dev, &mut views, samples.len());
        let tensors = (0..self.method.views()).map(|_| view()).collect();
        drop(views);
        self.method.loss(Batch { views: tensors, samples }, grads)
    }

    fn zero_grads(&self, grads: &mut Gradients<f32, D>) {
        self.method.zero_grads(grads);
    }

    fn end_step(&mut self, steps: u64, progress: f64) {
        self.method.end_step(steps, progress);
    }
}

fn received<D: Backend, const SIZE: usize>(dev: &D, views: &mut D::Sent, batch: usize) -> Images<D, 3, SIZE> {
    let images = dev.receive(views, (batch, Const, Const, Const));
    images.unwrap_or_else(|error| panic!("the device failed: {error}"))
}

impl<M: NamedTensors<D>, D: Backend, const SIZE: usize, const FEATURES: usize> NamedTensors<D>
    for Unsized<M, D, SIZE, FEATURES>
{
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>) {
        self.method.visit(prefix, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err> {
        self.method.visit_mut(prefix, each)
    }
}
