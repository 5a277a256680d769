//! Networks by name: every architecture with every method, built once, behind an interface without their sizes.
//!
//! Sizes are types, so each combination is compiled by itself: here, for every device, so that no crate that uses them
//! need do it again.

use dfdx::prelude::*;

use crate::arch::Arch;
use crate::backend::{Backend, Format, computed};
use crate::encoders::{Encoder, ResNet8, ResNet18, ResNet18Cifar, ResNet20, ResNet34, ResNet50};
use crate::methods::{
    Batch, Byol, ByolConfig, Method, MoCoV2, MoCoV2Config, SimClr, SimClrConfig, SimSiam, SimSiamConfig,
    StepLoss, SwAv, SwAvConfig,
};
use crate::module::{NamedTensors, Read, Write};
use crate::tensors::{Images, images_from, images_shape, in_format};

/// A method with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MethodConfig {
    /// SimSiam with projections of `dim` channels, one of [`PROJECTOR_DIMS`]; the predictor's bottleneck is a quarter.
    SimSiam {
        /// Its settings.
        config: SimSiamConfig,
        /// Channels of the projection `z`.
        dim: usize,
    },
    /// BYOL, `z` with 256 channels.
    Byol(ByolConfig),
    /// SimCLR, `z` with 128 channels.
    SimClr(SimClrConfig),
    /// MoCo v2, `z` with 128 channels.
    MoCoV2(MoCoV2Config),
    /// SwAV, `z` with 128 channels and [`PROTOTYPES`].
    SwAv(SwAvConfig),
}

/// Channels of the projection that SimSiam is compiled for.
pub const PROJECTOR_DIMS: [usize; 4] = [256, 512, 1024, 2048];

/// SwAV's prototypes.
pub const PROTOTYPES: usize = 3000;

/// A device that networks are compiled for.
pub trait Networks: Backend {
    /// The network at its beginning; its initial values are a function of `seed` and of the parameters' names.
    ///
    /// # Panics
    /// If the method's settings name a depth or a width that is not compiled, or if the device has not enough memory.
    fn network(&self, arch: Arch, method: &MethodConfig, seed: u64) -> Box<dyn Network<Self>>;
}

impl Networks for Cpu {
    fn network(&self, arch: Arch, method: &MethodConfig, seed: u64) -> Box<dyn Network<Self>> {
        build(self, arch, method, seed)
    }
}

#[cfg(feature = "cuda")]
impl Networks for Cuda {
    fn network(&self, arch: Arch, method: &MethodConfig, seed: u64) -> Box<dyn Network<Self>> {
        build(self, arch, method, seed)
    }
}

/// A [`Method`] on an encoder. Images are `batch x 3 x size x size` values.
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

fn build<D: Backend>(dev: &D, arch: Arch, method: &MethodConfig, seed: u64) -> Box<dyn Network<D>> {
    match arch {
        Arch::Resnet8 => on_encoder::<D, ResNet8<D>, 32, 64>(dev, method, seed),
        Arch::Resnet20 => on_encoder::<D, ResNet20<D>, 32, 64>(dev, method, seed),
        Arch::Resnet18Cifar => on_encoder::<D, ResNet18Cifar<D>, 32, 512>(dev, method, seed),
        Arch::Resnet18 => on_encoder::<D, ResNet18<D>, 224, 512>(dev, method, seed),
        Arch::Resnet34 => on_encoder::<D, ResNet34<D>, 224, 512>(dev, method, seed),
        Arch::Resnet50 => on_encoder::<D, ResNet50<D>, 224, 2048>(dev, method, seed),
    }
}

fn on_encoder<D: Backend, E, const SIZE: usize, const FEATURES: usize>(
    dev: &D,
    method: &MethodConfig,
    seed: u64,
) -> Box<dyn Network<D>>
where
    E: Encoder<D, SIZE, FEATURES> + 'static,
{
    macro_rules! network {
        ($method:ident<$($size:tt),+>, $config:expr) => {
            Box::new(Unsized::<_, D, SIZE, FEATURES> {
                method: $method::<E, FEATURES, $($size),+, D>::new(dev, $config, seed),
                dev: dev.clone(),
            })
        };
    }
    match method {
        MethodConfig::SimSiam { config, dim: 256 } => network!(SimSiam<2048, 256, 64>, config),
        MethodConfig::SimSiam { config, dim: 512 } => network!(SimSiam<2048, 512, 128>, config),
        MethodConfig::SimSiam { config, dim: 1024 } => network!(SimSiam<2048, 1024, 256>, config),
        MethodConfig::SimSiam { config, dim: 2048 } => network!(SimSiam<2048, 2048, 512>, config),
        MethodConfig::SimSiam { dim, .. } => panic!("{dim} is none of {PROJECTOR_DIMS:?}"),
        MethodConfig::Byol(config) => network!(Byol<4096, 256, 4096>, config),
        MethodConfig::SimClr(config) => network!(SimClr<2048, 128>, config),
        MethodConfig::MoCoV2(config) => network!(MoCoV2<2048, 128>, config),
        MethodConfig::SwAv(config) => network!(SwAv<2048, 128, PROTOTYPES>, config),
    }
}

/// A method whose sizes are no longer part of what it looks like.
struct Unsized<M, D, const SIZE: usize, const FEATURES: usize> {
    method: M,
    dev: D,
}

impl<M, D: Backend, const SIZE: usize, const FEATURES: usize> Network<D> for Unsized<M, D, SIZE, FEATURES>
where
    M: Method<D, SIZE>,
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
        self.method.encoder().forward(evaluated(&self.dev, images)).as_vec()
    }

    fn project(&self, images: &[f32]) -> Vec<f32> {
        self.method.project(evaluated(&self.dev, images))
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

/// The next view that was sent, in the format that the device computes in.
fn received<D: Backend, const SIZE: usize>(dev: &D, views: &mut D::Sent, batch: usize) -> Images<D, 3, SIZE> {
    in_format(computed(dev.receive(views, images_shape(batch, Format::F32))), dev.image_format())
}

/// Images to evaluate, in the format that the device computes in.
fn evaluated<D: Backend, const SIZE: usize>(dev: &D, images: &[f32]) -> Images<D, 3, SIZE> {
    in_format(images_from(dev, images), dev.image_format())
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
