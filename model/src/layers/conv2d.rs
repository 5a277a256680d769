use dfdx::prelude::*;

use crate::backend::{
    Backend, Conv2dGeometry, Conv2dGradients, Format, GradientVec, computed, take_gradient,
};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Images, Stored, any_size, images_shape};

/// Convolution without bias: `batch x IN x S x S -> batch x OUT x S' x S'`, `S' = (S + 2 PAD - KERNEL) / STRIDE + 1`.
///
/// The output's size is checked at compile time.
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, Module, init::InitRng, layers::Conv2d};
/// # let dev = Cpu::default();
/// let stem = Conv2d::<3, 8, 7, 2, 3, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Images<Cpu, 3, 32> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 16> = stem.forward(x);
/// ```
/// A wrong size does not compile:
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, Module, init::InitRng, layers::Conv2d};
/// # let dev = Cpu::default();
/// let stem = Conv2d::<3, 8, 7, 2, 3, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Images<Cpu, 3, 32> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 15> = stem.forward(x);
/// ```
/// Nor does a wrong number of channels:
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, Module, init::InitRng, layers::Conv2d};
/// # let dev = Cpu::default();
/// let stem = Conv2d::<3, 8, 7, 2, 3, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Images<Cpu, 4, 32> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 16> = stem.forward(x);
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> {
    /// The filters, `OUT x IN x KERNEL x KERNEL`.
    pub weight: Tensor<Rank4<OUT, IN, KERNEL, KERNEL>, f32, D>,
    /// The ranks that the batch is divided among.
    pub ranks: Ranks,
}

/// Takes `dL/dy` to the gradients of the input and the filters.
pub(super) trait Differentiate<D: Backend>:
    FnOnce(&mut Gradients<f32, D>, &GradientVec<D>) -> Result<(), D::Err> + 'static
{
}
impl<D: Backend, F> Differentiate<D> for F where
    F: FnOnce(&mut Gradients<f32, D>, &GradientVec<D>) -> Result<(), D::Err> + 'static
{
}

/// Whether the gradient goes on to the layer's input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InputGradient {
    Needed,
    Unused,
}

impl<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> Conv2d<IN, OUT, KERNEL, STRIDE, PAD, D>
{
    /// The convolution of `x`.
    pub fn forward<const S: usize, const S_OUT: usize, T: Tape<f32, D>>(
        &self,
        x: Images<D, IN, S, T>,
    ) -> Images<D, OUT, S_OUT, T> {
        let (x, mut tape) = x.split_tape();
        let (Images(y), backward) = self.apply::<S, S_OUT>(x, InputGradient::Needed);
        let (dev, y_ghost) = (y.device().clone(), y.ghost());
        tape.add_backward_op(move |grads| {
            let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
            backward(grads, &grad_y)
        });
        Images(y.put_tape(tape))
    }

    /// The convolution of `x`, and what takes `dL/dy` to the gradients of `x` and the filters.
    pub(super) fn apply<const S: usize, const S_OUT: usize>(
        &self,
        Images(x): Images<D, IN, S>,
        input_gradient: InputGradient,
    ) -> (Images<D, OUT, S_OUT>, impl Differentiate<D> + use<IN, OUT, KERNEL, STRIDE, PAD, S, S_OUT, D>) {
        let geometry = Sizes::<KERNEL, STRIDE, PAD, S, S_OUT>::geometry(IN, OUT);
        let (y, backward) = convolve(geometry, x, any_size(&self.weight), input_gradient, &self.ranks);
        (Images(y), backward)
    }
}

/// What [`Conv2d::apply`] does, compiled once for all sizes.
fn convolve<D: Backend>(
    geometry: Conv2dGeometry,
    x: Stored<D>,
    weight: Stored<D>,
    input_gradient: InputGradient,
    ranks: &Ranks,
) -> (Stored<D>, impl Differentiate<D> + use<D>) {
    let format = Format::of_sizes(geometry.in_channels, &x.shape().concrete());
    let output = images_shape(x.shape().0, geometry.out_channels, geometry.out_size, format);
    let y = computed(x.device().conv2d(&geometry, &x, &weight, output));
    ranks.announce(&weight);
    let ranks = ranks.clone();
    let backward = move |grads: &mut Gradients<f32, D>, grad_y: &GradientVec<D>| {
        let dev = x.device();
        let mut grad_w = take_gradient(grads.get_or_alloc_mut(&weight)?, dev)?;
        let input = match input_gradient {
            InputGradient::Needed => Some(grads.get_or_alloc_mut(&x)?),
            InputGradient::Unused => None,
        };
        let gradients = Conv2dGradients { input, weight: &mut grad_w, parts: ranks.parts() };
        dev.conv2d_backward(&geometry, &x, &weight, grad_y, gradients)?;
        ranks.hand_over(&weight, grad_w, grads)
    };
    (y, backward)
}

/// The compile-time check of a convolution's sizes.
struct Sizes<const KERNEL: usize, const STRIDE: usize, const PAD: usize, const S: usize, const S_OUT: usize>;

impl<const KERNEL: usize, const STRIDE: usize, const PAD: usize, const S: usize, const S_OUT: usize>
    Sizes<KERNEL, STRIDE, PAD, S, S_OUT>
{
    const FIT: () = assert!(
        S + 2 * PAD >= KERNEL && (S + 2 * PAD - KERNEL) / STRIDE + 1 == S_OUT,
        "the output's size is not (S + 2 PAD - KERNEL) / STRIDE + 1"
    );

    fn geometry(in_channels: usize, out_channels: usize) -> Conv2dGeometry {
        let () = Self::FIT;
        Conv2dGeometry {
            in_channels,
            out_channels,
            in_size: S,
            out_size: S_OUT,
            kernel: KERNEL,
            stride: STRIDE,
            pad: PAD,
        }
    }
}

impl<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> NamedTensors<D> for Conv2d<IN, OUT, KERNEL, STRIDE, PAD, D>
{
    parts! { "weight": weight; ranks }
}

impl<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> Module<D> for Conv2d<IN, OUT, KERNEL, STRIDE, PAD, D>
{
    fn new(dev: &D, rng: &InitRng) -> Self {
        let weight = rng.child("weight").kaiming_normal(dev, OUT * KERNEL * KERNEL);
        Self { weight, ranks: Ranks::default() }
    }
}
