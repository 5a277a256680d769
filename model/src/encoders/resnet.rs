use crate::backend::Backend;
use crate::encoders::{BasicBlock, Block, Bottleneck, DownBasicBlock, Encoder, ProjectingBottleneck, Stage};
use crate::init::InitRng;
use crate::layers::{Activation, ConvBn, MaxPool2d, global_avg_pool};
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Features, Images, Taped};

/// A residual network of four stages after a stem of `STEM` channels, with torchvision's layout.
#[derive(Clone, Debug)]
pub struct ResNet<
    const STEM: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    L1,
    L2,
    L3,
    L4,
    D: Backend,
> {
    /// `conv1`, `bn1`.
    pub stem: ConvBn<3, STEM, KERNEL, STRIDE, PAD, D>,
    /// The first stage.
    pub layer1: L1,
    /// The second stage, at half the size.
    pub layer2: L2,
    /// The third stage, at a quarter of the size.
    pub layer3: L3,
    /// The fourth stage, at an eighth of the size.
    pub layer4: L4,
}

/// Four stages of basic blocks, of so many channels; the first block, then `R` more.
type Basic<
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const C1: usize,
    const C2: usize,
    const C3: usize,
    const C4: usize,
    const R1: usize,
    const R2: usize,
    const R3: usize,
    const R4: usize,
    D,
> = ResNet<
    C1,
    KERNEL,
    STRIDE,
    PAD,
    Stage<BasicBlock<C1, D>, BasicBlock<C1, D>, R1>,
    Stage<DownBasicBlock<C1, C2, D>, BasicBlock<C2, D>, R2>,
    Stage<DownBasicBlock<C2, C3, D>, BasicBlock<C3, D>, R3>,
    Stage<DownBasicBlock<C3, C4, D>, BasicBlock<C4, D>, R4>,
    D,
>;

/// ResNet-18 with a 3x3 stride-1 stem and no max-pool, for small images: 11.2 M parameters.
pub type ResNet18Cifar<D> = Basic<3, 1, 1, 64, 128, 256, 512, 1, 1, 1, 1, D>;

/// [`ResNet18Cifar`] at half of the width: 2.8 M parameters.
pub type ResNet18CifarW32<D> = Basic<3, 1, 1, 32, 64, 128, 256, 1, 1, 1, 1, D>;

/// [`ResNet18Cifar`] at a quarter of the width: 0.7 M parameters.
pub type ResNet18CifarW16<D> = Basic<3, 1, 1, 16, 32, 64, 128, 1, 1, 1, 1, D>;

/// ResNet-18: 11.2 M parameters.
pub type ResNet18<D> = Basic<7, 2, 3, 64, 128, 256, 512, 1, 1, 1, 1, D>;

/// ResNet-34: 21.3 M parameters.
pub type ResNet34<D> = Basic<7, 2, 3, 64, 128, 256, 512, 2, 3, 5, 2, D>;

/// ResNet-50 v1.5: 23.5 M parameters.
pub type ResNet50<D> = ResNet<
    64,
    7,
    2,
    3,
    Stage<ProjectingBottleneck<64, 64, 256, 1, D>, Bottleneck<256, 64, D>, 2>,
    Stage<ProjectingBottleneck<256, 128, 512, 2, D>, Bottleneck<512, 128, D>, 3>,
    Stage<ProjectingBottleneck<512, 256, 1024, 2, D>, Bottleneck<1024, 256, D>, 5>,
    Stage<ProjectingBottleneck<1024, 512, 2048, 2, D>, Bottleneck<2048, 512, D>, 2>,
    D,
>;

/// Makes a network with a 3x3 stem an encoder of one input size: the stages' channels and sizes.
macro_rules! small_image_encoder {
    ($net:ident, [$c1:literal, $c2:literal, $c3:literal, $c4:literal],
     [$s1:literal, $s2:literal, $s3:literal, $s4:literal]) => {
        impl<D: Backend> Encoder<D, $s1, $c4> for $net<D> {
            fn forward(&self, x: Images<D, 3, $s1>) -> Features<D, $c4> {
                let x: Images<D, $c1, $s1> = self.stem.forward(x, Activation::Relu);
                let x: Images<D, $c1, $s1> = self.layer1.forward(x);
                let x: Images<D, $c2, $s2> = self.layer2.forward(x);
                let x: Images<D, $c3, $s3> = self.layer3.forward(x);
                let x: Images<D, $c4, $s4> = self.layer4.forward(x);
                global_avg_pool(x)
            }

            fn forward_mut(&mut self, x: Images<D, 3, $s1, Taped<D>>) -> Features<D, $c4, Taped<D>> {
                let x: Images<D, $c1, $s1, _> = self.stem.forward_input_mut(x);
                let x: Images<D, $c1, $s1, _> = self.layer1.forward_mut(x);
                let x: Images<D, $c2, $s2, _> = self.layer2.forward_mut(x);
                let x: Images<D, $c3, $s3, _> = self.layer3.forward_mut(x);
                let x: Images<D, $c4, $s4, _> = self.layer4.forward_mut(x);
                global_avg_pool(x)
            }
        }
    };
}

small_image_encoder!(ResNet18Cifar, [64, 128, 256, 512], [16, 8, 4, 2]);
small_image_encoder!(ResNet18Cifar, [64, 128, 256, 512], [32, 16, 8, 4]);
small_image_encoder!(ResNet18Cifar, [64, 128, 256, 512], [64, 32, 16, 8]);
small_image_encoder!(ResNet18CifarW32, [32, 64, 128, 256], [16, 8, 4, 2]);
small_image_encoder!(ResNet18CifarW32, [32, 64, 128, 256], [32, 16, 8, 4]);
small_image_encoder!(ResNet18CifarW32, [32, 64, 128, 256], [64, 32, 16, 8]);
small_image_encoder!(ResNet18CifarW16, [16, 32, 64, 128], [16, 8, 4, 2]);
small_image_encoder!(ResNet18CifarW16, [16, 32, 64, 128], [32, 16, 8, 4]);
small_image_encoder!(ResNet18CifarW16, [16, 32, 64, 128], [64, 32, 16, 8]);

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

impl<const STEM: usize, const KERNEL: usize, const STRIDE: usize, const PAD: usize, L1, L2, L3, L4, D>
    NamedTensors<D> for ResNet<STEM, KERNEL, STRIDE, PAD, L1, L2, L3, L4, D>
where
    D: Backend,
    L1: Module<D>,
    L2: Module<D>,
    L3: Module<D>,
    L4: Module<D>,
{
    parts! {
        "conv1": stem.conv,
        "bn1": stem.bn,
        "layer1": layer1,
        "layer2": layer2,
        "layer3": layer3,
        "layer4": layer4,
    }
}

impl<const STEM: usize, const KERNEL: usize, const STRIDE: usize, const PAD: usize, L1, L2, L3, L4, D>
    Module<D> for ResNet<STEM, KERNEL, STRIDE, PAD, L1, L2, L3, L4, D>
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
