use dfdx::nn::{ModuleVisitor, TensorCollection};
use dfdx::prelude::*;

use crate::backend::Backend;
use crate::encoders::{BasicBlock, Block, Bottleneck, DownBasicBlock, Encoder, ProjectingBottleneck, Stage};
use crate::init::InitRng;
use crate::layers::{Activation, ConvBn, MaxPool2d, global_avg_pool};
use crate::module::{Module, Walked};
use crate::tensors::{Features, Images, Taped};

/// A residual network of four stages behind a stem of 64 channels, as torchvision lays it out.
#[derive(Clone, Debug)]
pub struct ResNet<const KERNEL: usize, const STRIDE: usize, const PAD: usize, L1, L2, L3, L4, D: Backend> {
    /// `conv1`, `bn1`.
    pub stem: ConvBn<3, 64, KERNEL, STRIDE, PAD, D>,
    /// The first stage.
    pub layer1: L1,
    /// The second stage, of half the size.
    pub layer2: L2,
    /// The third stage, of a quarter of the size.
    pub layer3: L3,
    /// The fourth stage, of an eighth of the size.
    pub layer4: L4,
}

/// Four stages of basic blocks: the first block, then `R` more.
type Basic<
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const R1: usize,
    const R2: usize,
    const R3: usize,
    const R4: usize,
    D,
> = ResNet<
    KERNEL,
    STRIDE,
    PAD,
    Stage<BasicBlock<64, D>, BasicBlock<64, D>, R1>,
    Stage<DownBasicBlock<64, 128, D>, BasicBlock<128, D>, R2>,
    Stage<DownBasicBlock<128, 256, D>, BasicBlock<256, D>, R3>,
    Stage<DownBasicBlock<256, 512, D>, BasicBlock<512, D>, R4>,
    D,
>;

/// ResNet-18 with a 3x3 stride-1 stem and no max-pool, for 32 x 32 images: 11.2 M parameters.
pub type ResNet18Cifar<D> = Basic<3, 1, 1, 1, 1, 1, 1, D>;

/// ResNet-18: 11.2 M parameters.
pub type ResNet18<D> = Basic<7, 2, 3, 1, 1, 1, 1, D>;

/// ResNet-34: 21.3 M parameters.
pub type ResNet34<D> = Basic<7, 2, 3, 2, 3, 5, 2, D>;

/// ResNet-50 v1.5: 23.5 M parameters.
pub type ResNet50<D> = ResNet<
    7,
    2,
    3,
    Stage<ProjectingBottleneck<64, 64, 256, 1, D>, Bottleneck<256, 64, D>, 2>,
    Stage<ProjectingBottleneck<256, 128, 512, 2, D>, Bottleneck<512, 128, D>, 3>,
    Stage<ProjectingBottleneck<512, 256, 1024, 2, D>, Bottleneck<1024, 256, D>, 5>,
    Stage<ProjectingBottleneck<1024, 512, 2048, 2, D>, Bottleneck<2048, 512, D>, 2>,
    D,
>;

impl<D: Backend> Encoder<D, 32, 512> for ResNet18Cifar<D> {
    fn forward(&self, x: Images<D, 3, 32>) -> Features<D, 512> {
        let x: Images<D, 64, 32> = self.stem.forward(x, Activation::Relu);
        let x: Images<D, 64, 32> = self.layer1.forward(x);
        let x: Images<D, 128, 16> = self.layer2.forward(x);
        let x: Images<D, 256, 8> = self.layer3.forward(x);
        let x: Images<D, 512, 4> = self.layer4.forward(x);
        global_avg_pool(x)
    }

    fn forward_mut(&mut self, x: Images<D, 3, 32, Taped<D>>) -> Features<D, 512, Taped<D>> {
        let x: Images<D, 64, 32, _> = self.stem.forward_input_mut(x);
        let x: Images<D, 64, 32, _> = self.layer1.forward_mut(x);
        let x: Images<D, 128, 16, _> = self.layer2.forward_mut(x);
        let x: Images<D, 256, 8, _> = self.layer3.forward_mut(x);
        let x: Images<D, 512, 4, _> = self.layer4.forward_mut(x);
        global_avg_pool(x)
    }
}

/// Makes a network with a 7x7 stem an encoder of one input size: the stages' channels, `input: after the stem`, and
/// the stages' sizes.
macro_rules! photograph_encoder {
    ($net:ident, [$c1:literal, $c2:literal, $c3:literal, $c4:literal], $s:literal: $half:literal,
     [$s1:literal, $s2:literal, $s3:literal, $s4:literal]) => {
        impl<D: Backend> Encoder<D, $s, $c4> for $net<D> {
            fn forward(&self, x: Images<D, 3, $s>) -> Features<D, $c4> {
                let x: Images<D, 64, $half> = self.stem.forward(x, Activation::Relu);
                let x: Images<D, 64, $s1> = MaxPool2d::<3, 2, 1>.forward(x);
                let x: Images<D, $c1, $s1> = self.layer1.forward(x);
                let x: Images<D, $c2, $s2> = self.layer2.forward(x);
                let x: Images<D, $c3, $s3> = self.layer3.forward(x);
                let x: Images<D, $c4, $s4> = self.layer4.forward(x);
                global_avg_pool(x)
            }

            fn forward_mut(&mut self, x: Images<D, 3, $s, Taped<D>>) -> Features<D, $c4, Taped<D>> {
                let x: Images<D, 64, $half, _> = self.stem.forward_input_mut(x);
                let x: Images<D, 64, $s1, _> = MaxPool2d::<3, 2, 1>.forward(x);
                let x: Images<D, $c1, $s1, _> = self.layer1.forward_mut(x);
                let x: Images<D, $c2, $s2, _> = self.layer2.forward_mut(x);
                let x: Images<D, $c3, $s3, _> = self.layer3.forward_mut(x);
                let x: Images<D, $c4, $s4, _> = self.layer4.forward_mut(x);
                global_avg_pool(x)
            }
        }
    };
}

/// The input sizes that a network with a 7x7 stem is compiled for.
macro_rules! photograph_sizes {
    ($net:ident, $channels:tt) => {
        photograph_encoder!($net, $channels, 224: 112, [56, 28, 14, 7]);
        photograph_encoder!($net, $channels, 160: 80, [40, 20, 10, 5]);
        photograph_encoder!($net, $channels, 128: 64, [32, 16, 8, 4]);
        photograph_encoder!($net, $channels, 96: 48, [24, 12, 6, 3]);
        photograph_encoder!($net, $channels, 64: 32, [16, 8, 4, 2]);
    };
}

photograph_sizes!(ResNet18, [64, 128, 256, 512]);
photograph_sizes!(ResNet34, [64, 128, 256, 512]);
photograph_sizes!(ResNet50, [256, 512, 1024, 2048]);

impl<const KERNEL: usize, const STRIDE: usize, const PAD: usize, L1, L2, L3, L4, D> TensorCollection<f32, D>
    for ResNet<KERNEL, STRIDE, PAD, L1, L2, L3, L4, D>
where
    D: Backend,
    L1: Module<D>,
    L2: Module<D>,
    L3: Module<D>,
    L4: Module<D>,
{
    type To<E2: Dtype, D2: Device<E2>> = ();

    fn iter_tensors<V: ModuleVisitor<Self, f32, D>>(visitor: &mut V) -> Walked<V::Err> {
        let fields = (
            Self::module("conv1", |s| &s.stem.conv, |s| &mut s.stem.conv),
            Self::module("bn1", |s| &s.stem.bn, |s| &mut s.stem.bn),
            Self::module("layer1", |s| &s.layer1, |s| &mut s.layer1),
            Self::module("layer2", |s| &s.layer2, |s| &mut s.layer2),
            Self::module("layer3", |s| &s.layer3, |s| &mut s.layer3),
            Self::module("layer4", |s| &s.layer4, |s| &mut s.layer4),
        );
        visitor.visit_fields(fields, |_| ())
    }
}

impl<const KERNEL: usize, const STRIDE: usize, const PAD: usize, L1, L2, L3, L4, D> Module<D>
    for ResNet<KERNEL, STRIDE, PAD, L1, L2, L3, L4, D>
where
    D: Backend,
    L1: Module<D>,
    L2: Module<D>,
    L3: Module<D>,
    L4: Module<D>,
{
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self {
            stem: ConvBn::new(dev, rng, "conv1", "bn1"),
            layer1: L1::new(dev, &rng.child("layer1")),
            layer2: L2::new(dev, &rng.child("layer2")),
            layer3: L3::new(dev, &rng.child("layer3")),
            layer4: L4::new(dev, &rng.child("layer4")),
        }
    }
}
