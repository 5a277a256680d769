use dfdx::prelude::*;

use crate::backend::{
    Activation, Backend, BatchNormGradients, BatchNormSaved, GradientVec, Normalization, computed,
    take_gradient,
};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{Buffer, Module, NamedTensors, parts};
use crate::tensors::{Channels, Features, Images, any_size, sized};

/// Batch normalisation of images over batch and space, `batch x C x S x S`, as PyTorch's `BatchNorm2d`.
///
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, Module, init::InitRng, layers::{Activation, BatchNorm2d}};
/// # let dev = Cpu::default();
/// let norm = BatchNorm2d::<8, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Images<Cpu, 8, 4> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 4> = norm.forward(x, Activation::Relu);
/// ```
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, Module, init::InitRng, layers::{Activation, BatchNorm2d}};
/// # let dev = Cpu::default();
/// let norm = BatchNorm2d::<8, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Images<Cpu, 7, 4> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 7, 4> = norm.forward(x, Activation::Relu);
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm2d<const C: usize, D: Backend> {
    /// The scale, gamma.
    pub weight: Channels<D, C>,
    /// The shift, beta.
    pub bias: Channels<D, C>,
    /// The statistics that evaluation normalises by.
    pub running: RunningStatistics<D>,
}

/// Batch normalisation of features over the batch, `batch x C`, as PyTorch's `BatchNorm1d`.
///
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Module, init::InitRng, layers::{Activation, BatchNorm1d}};
/// # let dev = Cpu::default();
/// let norm = BatchNorm1d::<8, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Features<Cpu, 8> = dev.zeros_like(&(2, Const));
/// let y: Features<Cpu, 8> = norm.forward(x, Activation::Relu);
/// ```
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Module, init::InitRng, layers::{Activation, BatchNorm1d}};
/// # let dev = Cpu::default();
/// let norm = BatchNorm1d::<8, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Features<Cpu, 9> = dev.zeros_like(&(2, Const));
/// let y: Features<Cpu, 9> = norm.forward(x, Activation::Relu);
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm1d<const C: usize, D: Backend> {
    /// The scale, gamma, if there is one.
    pub weight: Option<Channels<D, C>>,
    /// The shift, beta, if there is one.
    pub bias: Option<Channels<D, C>>,
    /// The statistics that evaluation normalises by.
    pub running: RunningStatistics<D>,
}

/// Moving averages of the batches' statistics: `r = 0.9 r + 0.1 batch`, with the unbiased variance.
#[derive(Clone, Debug)]
pub struct RunningStatistics<D: Backend> {
    /// The means, one per channel.
    pub mean: Buffer<(usize,), D>,
    /// The variances, one per channel.
    pub var: Buffer<(usize,), D>,
    ranks: Ranks,
}

impl<const C: usize, D: Backend> BatchNorm2d<C, D> {
    /// Evaluation: normalises by the running statistics.
    pub fn forward<const S: usize>(&self, x: Images<D, C, S>, activation: Activation) -> Images<D, C, S> {
        Images(normalize(&self.running, &x.0, self.affine(), None, activation))
    }

    /// Evaluation: `act(norm(x) + residual)`.
    pub fn forward_add<const S: usize>(
        &self,
        x: Images<D, C, S>,
        residual: Images<D, C, S>,
        activation: Activation,
    ) -> Images<D, C, S> {
        Images(normalize(&self.running, &x.0, self.affine(), Some(&residual.0), activation))
    }

    /// Training: normalises by the batch's statistics and updates the running ones.
    pub fn forward_mut<const S: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, C, S, T>,
        activation: Activation,
    ) -> Images<D, C, S, T> {
        let affine = self.affine();
        Images(train(&mut self.running, x.0, affine, None, activation))
    }

    /// Training: `act(norm(x) + residual)`.
    pub fn forward_add_mut<const S: usize, T: Tape<f32, D>>(
        &mut self,
        x: Images<D, C, S, T>,
        residual: Images<D, C, S, T>,
        activation: Activation,
    ) -> Images<D, C, S, T> {
        let (residual, tape) = residual.split_tape();
        let (x, own) = x.split_tape();
        let affine = self.affine();
        Images(train(&mut self.running, x.0.put_tape(own.merge(tape)), affine, Some(residual.0), activation))
    }

    /// The normalisation and its backward pass.
    pub(super) fn train_op<const S: usize>(
        &mut self,
        x: Images<D, C, S>,
        residual: Option<Images<D, C, S>>,
        activation: Activation,
    ) -> (Images<D, C, S>, impl Differentiate<D> + use<C, S, D>) {
        let affine = self.affine();
        let residual = residual.map(|residual| residual.0);
        let (y, backward) = train_op(&mut self.running, x.0, affine, residual, activation);
        (Images(y), backward)
    }

    fn affine(&self) -> Affine<D> {
        Some((any_size(&self.weight), any_size(&self.bias)))
    }
}

impl<const C: usize, D: Backend> BatchNorm1d<C, D> {
    /// Without scale and shift (`affine=False`), as at the projector's output; [`new`](Module::new) makes one with both.
    pub fn plain(dev: &D) -> Self {
        Self { weight: None, bias: None, running: RunningStatistics::new(dev, C) }
    }

    /// Evaluation: normalises by the running statistics.
    pub fn forward(&self, x: Features<D, C>, activation: Activation) -> Features<D, C> {
        sized(normalize::<(usize, usize), _>(&self.running, &any_size(&x), self.affine(), None, activation))
    }

    /// Training: normalises by the batch's statistics and updates the running ones.
    pub fn forward_mut<T: Tape<f32, D>>(
        &mut self,
        x: Features<D, C, T>,
        activation: Activation,
    ) -> Features<D, C, T> {
        let affine = self.affine();
        sized(train::<(usize, usize), _, _>(&mut self.running, sized(x), affine, None, activation))
    }

    fn affine(&self) -> Affine<D> {
        let both = self.weight.as_ref().zip(self.bias.as_ref());
        both.map(|(weight, bias)| (any_size(weight), any_size(bias)))
    }
}

/// Turns `dL/dy` into `dL/dx` in place and adds all gradients; that of `x` only where there is a place for it.
pub(super) trait Differentiate<D: Backend>:
    FnOnce(&mut Gradients<f32, D>, &mut GradientVec<D>, Option<&mut GradientVec<D>>) -> Result<(), D::Err>
    + 'static
{
}
impl<D: Backend, F> Differentiate<D> for F where
    F: FnOnce(&mut Gradients<f32, D>, &mut GradientVec<D>, Option<&mut GradientVec<D>>) -> Result<(), D::Err>
        + 'static
{
}

impl<D: Backend> RunningStatistics<D> {
    fn new(dev: &D, channels: usize) -> Self {
        let (mean, var) = (dev.zeros_like(&(channels,)), dev.ones_like(&(channels,)));
        Self { mean: Buffer(mean), var: Buffer(var), ranks: Ranks::default() }
    }
}

// What follows is compiled once for images and once for features, whatever their sizes.

/// Scale and shift, if there are any.
type Affine<D> = Option<(Tensor<(usize,), f32, D>, Tensor<(usize,), f32, D>)>;

fn normalize<S: Shape, D: Backend>(
    running: &RunningStatistics<D>,
    x: &Tensor<S, f32, D>,
    affine: Affine<D>,
    residual: Option<&Tensor<S, f32, D>>,
    activation: Activation,
) -> Tensor<S, f32, D> {
    let affine = affine.as_ref().map(|(scale, shift)| (scale, shift));
    let op = Normalization { x, affine, residual, activation };
    computed(x.device().batch_norm_eval(&op, &running.mean, &running.var))
}

fn train<S: Shape, D: Backend, T: Tape<f32, D>>(
    running: &mut RunningStatistics<D>,
    x: Tensor<S, f32, D, T>,
    affine: Affine<D>,
    residual: Option<Tensor<S, f32, D>>,
    activation: Activation,
) -> Tensor<S, f32, D, T> {
    let (x, mut tape) = x.split_tape();
    let x_ghost = x.ghost();
    let (y, backward) = train_op(running, x, affine, residual, activation);
    let (dev, y_ghost) = (y.device().clone(), y.ghost());
    tape.add_backward_op(move |grads| {
        let mut grad = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
        let mut grad_x = take_gradient(grads.get_or_alloc_mut(&x_ghost)?, &dev)?;
        backward(grads, &mut grad, Some(&mut grad_x))?;
        *grads.get_or_alloc_mut(&x_ghost)? = grad_x;
        Ok(())
    });
    y.put_tape(tape)
}

/// The normalisation and its backward pass.
fn train_op<S: Shape, D: Backend>(
    running: &mut RunningStatistics<D>,
    x: Tensor<S, f32, D>,
    affine: Affine<D>,
    residual: Option<Tensor<S, f32, D>>,
    activation: Activation,
) -> (Tensor<S, f32, D>, impl Differentiate<D> + use<S, D>) {
    let both = affine.as_ref().map(|(scale, shift)| (scale, shift));
    let op = Normalization { x: &x, affine: both, residual: residual.as_ref(), activation };
    let (ranks, of_statistics) = (running.ranks.clone(), running.ranks.of_batch_norm());
    let trained = x.device().batch_norm_train(&op, &mut running.mean, &mut running.var, &of_statistics);
    let (y, statistics) = computed(trained);
    if let Some((scale, shift)) = both {
        ranks.announce(scale);
        ranks.announce(shift);
    }

    let residual_ghost = residual.map(|residual| residual.ghost());
    let y_saved = (activation == Activation::Relu && residual_ghost.is_some()).then(|| y.clone());
    let backward = move |grads: &mut Gradients<f32, D>,
                         grad: &mut GradientVec<D>,
                         input: Option<&mut GradientVec<D>>| {
        let dev = x.device();
        let mut grad_affine = match &affine {
            Some((scale, shift)) => Some((
                take_gradient(grads.get_or_alloc_mut(scale)?, dev)?,
                take_gradient(grads.get_or_alloc_mut(shift)?, dev)?,
            )),
            None => None,
        };
        let residual = match &residual_ghost {
            Some(residual) => Some(grads.get_or_alloc_mut(residual)?),
            None => None,
        };

        let saved = BatchNormSaved {
            x: &x,
            y: y_saved.as_ref(),
            activation,
            statistics: &statistics,
            affine: affine.as_ref().map(|(scale, shift)| (scale, shift)),
        };
        let affine_gradients = grad_affine.as_mut().map(|(scale, shift)| (scale, shift));
        let gradients = BatchNormGradients { input, residual, affine: affine_gradients };
        dev.batch_norm_backward(&saved, grad, gradients, &of_statistics)?;

        if let (Some((scale, shift)), Some((grad_scale, grad_shift))) = (&affine, grad_affine) {
            ranks.hand_over(scale, grad_scale, grads)?;
            ranks.hand_over(shift, grad_shift, grads)?;
        }
        Ok(())
    };
    (y, backward)
}

impl<D: Backend> NamedTensors<D> for RunningStatistics<D> {
    parts! { "running_mean": mean, "running_var": var; ranks }
}

impl<const C: usize, D: Backend> NamedTensors<D> for BatchNorm2d<C, D> {
    parts! { "weight": weight, "bias": bias, "": running }
}

impl<const C: usize, D: Backend> Module<D> for BatchNorm2d<C, D> {
    fn new(dev: &D, _: &InitRng) -> Self {
        Self { weight: dev.ones(), bias: dev.zeros(), running: RunningStatistics::new(dev, C) }
    }
}

impl<const C: usize, D: Backend> NamedTensors<D> for BatchNorm1d<C, D> {
    parts! { "weight": weight, "bias": bias, "": running }
}

impl<const C: usize, D: Backend> Module<D> for BatchNorm1d<C, D> {
    fn new(dev: &D, _: &InitRng) -> Self {
        Self { weight: Some(dev.ones()), bias: Some(dev.zeros()), ..Self::plain(dev) }
    }
}
