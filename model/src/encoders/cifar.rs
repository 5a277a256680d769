use crate::backend::Backend;
use crate::encoders::{BasicBlock, Block, DownBasicBlock, Encoder, Stage};
use crate::init::InitRng;
use crate::layers::{Activation, ConvBn, global_avg_pool};
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Features, Images, Taped};

/// He et al.'s ResNet for 32 x 32 images, and for 16 x 16, with `6 (REST + 1) + 2` layers: widths 16, 32 and 64, and
/// `REST + 1` basic blocks per stage.
#[derive(Clone, Debug)]
pub struct CifarResNet<const REST: usize, D: Backend> {
    /// `conv1`, `bn1`: 3x3, stride 1.
    pub stem: ConvBn<3, 16, 3, 1, 1, D>,
    /// 16 channels, at the images' size.
    pub layer1: Stage<BasicBlock<16, D>, BasicBlock<16, D>, REST>,
    /// 32 channels, at half the size.
    pub layer2: Stage<DownBasicBlock<16, 32, D>, BasicBlock<32, D>, REST>,
    /// 64 channels, at a quarter of the size.
    pub layer3: Stage<DownBasicBlock<32, 64, D>, BasicBlock<64, D>, REST>,
}

/// One block in each stage: 0.08 M parameters.
pub type ResNet8<D> = CifarResNet<0, D>;

/// Three blocks in each stage: 0.27 M parameters.
pub type ResNet20<D> = CifarResNet<2, D>;

/// Makes it an encoder of one input size: the stages' sizes.
macro_rules! cifar_encoder {
    ([$s1:literal, $s2:literal, $s3:literal]) => {
        impl<const REST: usize, D: Backend> Encoder<D, $s1, 64> for CifarResNet<REST, D> {
            fn forward(&self, x: Images<D, 3, $s1>) -> Features<D, 64> {
                let x: Images<D, 16, $s1> = self.stem.forward(x, Activation::Relu);
                let x: Images<D, 16, $s1> = self.layer1.forward(x);
                let x: Images<D, 32, $s2> = self.layer2.forward(x);
                let x: Images<D, 64, $s3> = self.layer3.forward(x);
                global_avg_pool(x)
            }

            fn forward_mut(&mut self, x: Images<D, 3, $s1, Taped<D>>) -> Features<D, 64, Taped<D>> {
                let x: Images<D, 16, $s1, _> = self.stem.forward_input_mut(x);
                let x: Images<D, 16, $s1, _> = self.layer1.forward_mut(x);
                let x: Images<D, 32, $s2, _> = self.layer2.forward_mut(x);
                let x: Images<D, 64, $s3, _> = self.layer3.forward_mut(x);
                global_avg_pool(x)
            }
        }
    };
}

cifar_encoder!([32, 16, 8]);
cifar_encoder!([16, 8, 4]);

impl<const REST: usize, D: Backend> NamedTensors<D> for CifarResNet<REST, D> {
    parts! {
        "conv1": stem.conv,
        "bn1": stem.bn,
        "layer1": layer1,
        "layer2": layer2,
        "layer3": layer3,
    }
}

impl<const REST: usize, D: Backend> Module<D> for CifarResNet<REST, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self {
            stem: ConvBn::new(dev, rng, "conv1", "bn1"),
            layer1: Stage::new(dev, &rng.child("layer1")),
            layer2: Stage::new(dev, &rng.child("layer2")),
            layer3: Stage::new(dev, &rng.child("layer3")),
        }
    }
}
