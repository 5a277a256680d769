use crate::backend::Backend;
use crate::encoders::Block;
use crate::init::InitRng;
use crate::layers::{Activation, ConvBn};
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Images, Taped};

/// 1x1, 3x3 and 1x1 convolutions with an identity shortcut, `batch x C x S x S`; the 3x3 has `MID` channels, `C = 4
/// MID`.
#[derive(Clone, Debug)]
pub struct Bottleneck<const C: usize, const MID: usize, D: Backend> {
    /// `conv1`, `bn1`.
    pub reduce: ConvBn<C, MID, 1, 1, 0, D>,
    /// `conv2`, `bn2`.
    pub spatial: ConvBn<MID, MID, 3, 1, 1, D>,
    /// `conv3`, `bn3`.
    pub expand: ConvBn<MID, C, 1, 1, 0, D>,
}

impl<const C: usize, const MID: usize, const S: usize, D: Backend> Block<D, C, C, S, S>
    for Bottleneck<C, MID, D>
{
    fn forward(&self, x: Images<D, C, S>) -> Images<D, C, S> {
        let h: Images<D, MID, S> = self.reduce.forward(x.clone(), Activation::Relu);
        let h: Images<D, MID, S> = self.spatial.forward(h, Activation::Relu);
        self.expand.forward_add(h, x)
    }

    fn forward_mut(&mut self, x: Images<D, C, S, Taped<D>>) -> Images<D, C, S, Taped<D>> {
        let shortcut = x.with_empty_tape();
        let h: Images<D, MID, S, Taped<D>> = self.reduce.forward_mut(x, Activation::Relu);
        let h: Images<D, MID, S, Taped<D>> = self.spatial.forward_mut(h, Activation::Relu);
        self.expand.forward_add_mut(h, shortcut)
    }
}

impl<const C: usize, const MID: usize, D: Backend> NamedTensors<D> for Bottleneck<C, MID, D> {
    parts! {
        "conv1": reduce.conv,
        "bn1": reduce.bn,
        "conv2": spatial.conv,
        "bn2": spatial.bn,
        "conv3": expand.conv,
        "bn3": expand.bn,
    }
}

impl<const C: usize, const MID: usize, D: Backend> Module<D> for Bottleneck<C, MID, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self {
            reduce: ConvBn::new(dev, rng, "conv1", "bn1"),
            spatial: ConvBn::new(dev, rng, "conv2", "bn2"),
            expand: ConvBn::last(dev, rng, "conv3", "bn3"),
        }
    }
}

/// A [`Bottleneck`] that changes the shape: its shortcut is a 1x1 convolution and a batch norm. The stride is on the
/// 3x3, as in torchvision's ResNet v1.5.
#[derive(Clone, Debug)]
pub struct ProjectingBottleneck<
    const IN: usize,
    const MID: usize,
    const OUT: usize,
    const STRIDE: usize,
    D: Backend,
> {
    /// `conv1`, `bn1`.
    pub reduce: ConvBn<IN, MID, 1, 1, 0, D>,
    /// `conv2`, `bn2`.
    pub spatial: ConvBn<MID, MID, 3, STRIDE, 1, D>,
    /// `conv3`, `bn3`.
    pub expand: ConvBn<MID, OUT, 1, 1, 0, D>,
    /// `downsample.0`, `downsample.1`.
    pub downsample: ConvBn<IN, OUT, 1, STRIDE, 0, D>,
}

impl<
    const IN: usize,
    const MID: usize,
    const OUT: usize,
    const STRIDE: usize,
    const S: usize,
    const S_OUT: usize,
    D: Backend,
> Block<D, IN, OUT, S, S_OUT> for ProjectingBottleneck<IN, MID, OUT, STRIDE, D>
{
    fn forward(&self, x: Images<D, IN, S>) -> Images<D, OUT, S_OUT> {
        let shortcut = self.downsample.forward(x.clone(), Activation::Identity);
        let h: Images<D, MID, S> = self.reduce.forward(x, Activation::Relu);
        let h: Images<D, MID, S_OUT> = self.spatial.forward(h, Activation::Relu);
        self.expand.forward_add(h, shortcut)
    }

    fn forward_mut(&mut self, x: Images<D, IN, S, Taped<D>>) -> Images<D, OUT, S_OUT, Taped<D>> {
        let shortcut = self.downsample.forward_mut(x.with_empty_tape(), Activation::Identity);
        let h: Images<D, MID, S, Taped<D>> = self.reduce.forward_mut(x, Activation::Relu);
        let h: Images<D, MID, S_OUT, Taped<D>> = self.spatial.forward_mut(h, Activation::Relu);
        self.expand.forward_add_mut(h, shortcut)
    }
}

impl<const IN: usize, const MID: usize, const OUT: usize, const STRIDE: usize, D: Backend> NamedTensors<D>
    for ProjectingBottleneck<IN, MID, OUT, STRIDE, D>
{
    parts! {
        "conv1": reduce.conv,
        "bn1": reduce.bn,
        "conv2": spatial.conv,
        "bn2": spatial.bn,
        "conv3": expand.conv,
        "bn3": expand.bn,
        "downsample.0": downsample.conv,
        "downsample.1": downsample.bn,
    }
}

impl<const IN: usize, const MID: usize, const OUT: usize, const STRIDE: usize, D: Backend> Module<D>
    for ProjectingBottleneck<IN, MID, OUT, STRIDE, D>
{
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self {
            reduce: ConvBn::new(dev, rng, "conv1", "bn1"),
            spatial: ConvBn::new(dev, rng, "conv2", "bn2"),
            expand: ConvBn::last(dev, rng, "conv3", "bn3"),
            downsample: ConvBn::new(dev, rng, "downsample.0", "downsample.1"),
        }
    }
}
