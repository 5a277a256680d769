use dfdx::prelude::*;

use crate::backend::{Activation, Backend, take_gradient};
use crate::init::InitRng;
use crate::layers::conv2d::InputGradient;
use crate::layers::{BatchNorm2d, Conv2d, batch_norm, conv2d};
use crate::module::Module;
use crate::tensors::{Images, Stored};

/// A convolution followed by batch norm, the building block of residual networks.
///
/// It is not a module with a name: as in PyTorch, each block names the two layers separately (`conv1`, `bn1`).
#[derive(Clone, Debug)]
pub struct ConvBn<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> {
    /// The convolution.
    pub conv: Conv2d<IN, OUT, KERNEL, STRIDE, PAD, D>,
    /// Its batch norm.
    pub bn: BatchNorm2d<OUT, D>,
}

impl<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    D: Backend,
> ConvBn<IN, OUT, KERNEL, STRIDE, PAD, D>
{
    /// Builds the pair; `conv` and `bn` are the two names.
    pub fn new(dev: &D, rng: &InitRng, conv: &str, bn: &str) -> Self {
        Self { conv: Conv2d::new(dev, &rng.child(conv)), bn: BatchNorm2d::new(dev, &rng.child(bn)) }
    }

    /// Builds the last pair of a residual block.
    pub fn last(dev: &D, rng: &InitRng, conv: &str, bn: &str) -> Self {
        let mut pair = Self::new(dev, rng, conv, bn);
        pair.bn.weight = rng.last_scale(dev);
        pair
    }

    /// Evaluation: `act(norm(conv(x)))`.
    pub fn forward<const S: usize, const S_OUT: usize>(
        &self,
        x: Images<D, IN, S>,
        activation: Activation,
    ) -> Images<D, OUT, S_OUT> {
        self.bn.forward(self.conv.forward::<S, S_OUT, _>(x), activation)
    }

    /// Evaluation: `relu(norm(conv(x)) + residual)`.
    pub fn forward_add<const S: usize, const S_OUT: usize>(
        &self,
        x: Images<D, IN, S>,
        residual: Images<D, OUT, S_OUT>,
    ) -> Images<D, OUT, S_OUT> {
        self.bn.forward_add(self.conv.forward(x), residual, Activation::Relu)
    }

    /// Training: `act(norm(conv(x)))`.
    pub fn forward_mut<const S: usize, const S_OUT: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, IN, S, T>,
        activation: Activation,
    ) -> Images<D, OUT, S_OUT, T> {
        self.train(x, None, activation, InputGradient::Needed)
    }

    /// Training, for the network's first layer: as [`forward_mut`](Self::forward_mut) with ReLU, but the images get
    /// no gradient.
    pub fn forward_input_mut<const S: usize, const S_OUT: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, IN, S, T>,
    ) -> Images<D, OUT, S_OUT, T> {
        self.train(x, None, Activation::Relu, InputGradient::Unused)
    }

    /// Training: `relu(norm(conv(x)) + residual)`.
    pub fn forward_add_mut<const S: usize, const S_OUT: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, IN, S, T>,
        residual: Images<D, OUT, S_OUT, T>,
    ) -> Images<D, OUT, S_OUT, T> {
        self.train(x, Some(residual), Activation::Relu, InputGradient::Needed)
    }

    /// Both operations as one on the tape: the gradient between them is never kept.
    fn train<const S: usize, const S_OUT: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, IN, S, T>,
        residual: Option<Images<D, OUT, S_OUT, T>>,
        activation: Activation,
        input_gradient: InputGradient,
    ) -> Images<D, OUT, S_OUT, T> {
        let (x, mut tape) = x.split_tape();
        let residual = residual.map(|residual| {
            let (residual, own) = residual.split_tape();
            tape = std::mem::take(&mut tape).merge(own);
            residual
        });
        let (h, convolve_backward) = self.conv.apply::<S, S_OUT>(x, input_gradient);
        let (Images(y), normalize_backward) = self.bn.train_op(h, residual, activation);
        Images(recorded(y, tape, convolve_backward, normalize_backward))
    }
}

/// Records both backward passes as one operation.
fn recorded<D: Backend, T: Tape<f32, D>>(
    y: Stored<D>,
    mut tape: T,
    convolve_backward: impl conv2d::Differentiate<D>,
    normalize_backward: impl batch_norm::Differentiate<D>,
) -> Stored<D, T> {
    let (dev, y_ghost) = (y.device().clone(), y.ghost());
    tape.add_backward_op(move |grads| {
        let mut grad = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
        normalize_backward(grads, &mut grad, None)?;
        convolve_backward(grads, &grad)
    });
    y.put_tape(tape)
}
