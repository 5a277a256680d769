use crate::backend::Backend;
use crate::encoders::Block;
use crate::init::InitRng;
use crate::layers::{Activation, ConvBn};
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Images, Taped};

/// Two 3x3 convolutions with an identity shortcut: `y = relu(x + f(x))`, `batch x C x S x S`.
#[derive(Clone, Debug)]
pub struct BasicBlock<const C: usize, D: Backend> {
    /// `conv1`, `bn1`.
    pub first: ConvBn<C, C, 3, 1, 1, D>,
    /// `conv2`, `bn2`.
    pub second: ConvBn<C, C, 3, 1, 1, D>,
}

impl<const C: usize, const S: usize, D: Backend> Block<D, C, C, S, S> for BasicBlock<C, D> {
    fn forward(&self, x: Images<D, C, S>) -> Images<D, C, S> {
        let h: Images<D, C, S> = self.first.forward(x.clone(), Activation::Relu);
        self.second.forward_add(h, x)
    }

    fn forward_mut(&mut self, x: Images<D, C, S, Taped<D>>) -> Images<D, C, S, Taped<D>> {
        let shortcut = x.with_empty_tape();
        let h: Images<D, C, S, Taped<D>> = self.first.forward_mut(x, Activation::Relu);
        self.second.forward_add_mut(h, shortcut)
    }
}

impl<const C: usize, D: Backend> NamedTensors<D> for BasicBlock<C, D> {
    parts! {
        "conv1": first.conv,
        "bn1": first.bn,
        "conv2": second.conv,
        "bn2": second.bn,
    }
}

impl<const C: usize, D: Backend> Module<D> for BasicBlock<C, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self { first: ConvBn::new(dev, rng, "conv1", "bn1"), second: ConvBn::last(dev, rng, "conv2", "bn2") }
    }
}

/// A [`BasicBlock`] that halves the size: its shortcut is a 1x1 convolution of stride 2 and a batch norm.
#[derive(Clone, Debug)]
pub struct DownBasicBlock<const IN: usize, const OUT: usize, D: Backend> {
    /// `conv1`, `bn1`.
    pub first: ConvBn<IN, OUT, 3, 2, 1, D>,
    /// `conv2`, `bn2`.
    pub second: ConvBn<OUT, OUT, 3, 1, 1, D>,
    /// `downsample.0`, `downsample.1`.
    pub downsample: ConvBn<IN, OUT, 1, 2, 0, D>,
}

impl<const IN: usize, const OUT: usize, const S: usize, const S_OUT: usize, D: Backend>
    Block<D, IN, OUT, S, S_OUT> for DownBasicBlock<IN, OUT, D>
{
    fn forward(&self, x: Images<D, IN, S>) -> Images<D, OUT, S_OUT> {
        let shortcut = self.downsample.forward(x.clone(), Activation::Identity);
        let h: Images<D, OUT, S_OUT> = self.first.forward(x, Activation::Relu);
        self.second.forward_add(h, shortcut)
    }

    fn forward_mut(&mut self, x: Images<D, IN, S, Taped<D>>) -> Images<D, OUT, S_OUT, Taped<D>> {
        let shortcut = self.downsample.forward_mut(x.with_empty_tape(), Activation::Identity);
        let h: Images<D, OUT, S_OUT, Taped<D>> = self.first.forward_mut(x, Activation::Relu);
        self.second.forward_add_mut(h, shortcut)
    }
}

impl<const IN: usize, const OUT: usize, D: Backend> NamedTensors<D> for DownBasicBlock<IN, OUT, D> {
    parts! {
        "conv1": first.conv,
        "bn1": first.bn,
        "conv2": second.conv,
        "bn2": second.bn,
        "downsample.0": downsample.conv,
        "downsample.1": downsample.bn,
    }
}

impl<const IN: usize, const OUT: usize, D: Backend> Module<D> for DownBasicBlock<IN, OUT, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self {
            first: ConvBn::new(dev, rng, "conv1", "bn1"),
            second: ConvBn::last(dev, rng, "conv2", "bn2"),
            downsample: ConvBn::new(dev, rng, "downsample.0", "downsample.1"),
        }
    }
}
