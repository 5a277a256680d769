//! Encoders: residual networks without the classifier.
//!
//! | encoder | input | features | source |
//! |---|---|---|---|
//! | [`ResNet8`], [`ResNet20`] | 16, 32 | 64 | He et al. 2015, section 4.2, with projection shortcuts |
//! | [`ResNet18Cifar`] | 16, 32, 64 | 512 | torchvision's ResNet-18 with a 3x3 stride-1 stem and no max-pool |
//! | [`ResNet18CifarW32`], [`ResNet18CifarW16`] | 16, 32, 64 | 256, 128 | the same at a half and a quarter of the width |
//! | [`ResNet18`], [`ResNet34`] | 224, 160, 128, 96, 64 | 512 | torchvision |
//! | [`ResNet50`] | 224, 160, 128, 96, 64 | 2048 | torchvision's v1.5: the stride is on the 3x3 |
//!
//! The input's size is part of the type [`Encoder`], because every layer's size follows from it at compile time. No
//! weight depends on it: one network is an encoder for all its sizes ([`AnySize`]). Past the features, neither
//! architecture nor size is part of the type ([`Backbone`]). The scale of each residual block's last batch norm starts
//! at 0, unless [`InitRng`](crate::init::InitRng) says otherwise.

use crate::backend::Backend;
use crate::module::Module;
use crate::tensors::{Features, Images, Taped};

mod block;
pub use block::{Block, Stage};

mod basic;
pub use basic::{BasicBlock, DownBasicBlock};

mod bottleneck;
pub use bottleneck::{Bottleneck, ProjectingBottleneck};

mod cifar;
pub use cifar::{CifarResNet, ResNet8, ResNet20};

mod resnet;
pub use resnet::{ResNet, ResNet18, ResNet18Cifar, ResNet18CifarW16, ResNet18CifarW32, ResNet34, ResNet50};

mod any_size;
pub use any_size::AnySize;
pub(crate) use any_size::any_size;

mod backbone;
pub use backbone::Backbone;

/// A network that turns images, `batch x 3 x SIZE x SIZE`, into features, `batch x FEATURES`.
pub trait Encoder<D: Backend, const SIZE: usize, const FEATURES: usize>: Module<D> + Clone {
    /// Evaluation: normalises by the running statistics and records nothing on a tape.
    fn forward(&self, x: Images<D, 3, SIZE>) -> Features<D, FEATURES>;

    /// Training: normalises by the batch's statistics and updates the running ones. The images get no gradient.
    fn forward_mut(&mut self, x: Images<D, 3, SIZE, Taped<D>>) -> Features<D, FEATURES, Taped<D>>;
}
