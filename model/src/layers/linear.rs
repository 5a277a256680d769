use dfdx::prelude::*;

use crate::backend::{Backend, LinearGradients, computed, take_gradient};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{Module, NamedTensors, parts};
use crate::tensors::{Channels, Features};

/// Linear layer, `batch x IN -> batch x OUT`: `y = x W^T`, or `x W^T + b`.
///
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Module, init::InitRng, layers::Linear};
/// # let dev = Cpu::default();
/// let layer = Linear::<64, 16, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Features<Cpu, 64> = dev.zeros_like(&(2, Const));
/// let y: Features<Cpu, 16> = layer.forward(x);
/// ```
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Module, init::InitRng, layers::Linear};
/// # let dev = Cpu::default();
/// let layer = Linear::<64, 16, Cpu>::new(&dev, &InitRng::new(0));
/// let x: Features<Cpu, 63> = dev.zeros_like(&(2, Const));
/// let y: Features<Cpu, 16> = layer.forward(x);
/// ```
#[derive(Clone, Debug)]
pub struct Linear<const IN: usize, const OUT: usize, D: Backend> {
    /// `W`, `OUT x IN`.
    pub weight: Tensor<Rank2<OUT, IN>, f32, D>,
    /// `b`, if there is one.
    pub bias: Option<Channels<D, OUT>>,
    /// The ranks that the batch is divided among.
    pub ranks: Ranks,
}

impl<const IN: usize, const OUT: usize, D: Backend> Linear<IN, OUT, D> {
    /// A layer with a bias; [`new`](Module::new) makes one without.
    pub fn biased(dev: &D, rng: &InitRng) -> Self {
        Self { bias: Some(rng.child("bias").kaiming_uniform(dev, IN)), ..Self::new(dev, rng) }
    }

    /// `x W^T + b`.
    pub fn forward<T: Tape<f32, D>>(&self, x: Features<D, IN, T>) -> Features<D, OUT, T> {
        linear(x, &self.weight, self.bias.as_ref(), &self.ranks)
    }
}

fn linear<const IN: usize, const OUT: usize, D: Backend, T: Tape<f32, D>>(
    x: Features<D, IN, T>,
    weight: &Tensor<Rank2<OUT, IN>, f32, D>,
    bias: Option<&Channels<D, OUT>>,
    ranks: &Ranks,
) -> Features<D, OUT, T> {
    let (x, mut tape) = x.split_tape();
    let y = computed(x.device().linear(&x, weight, bias));

    ranks.announce(weight);
    bias.inspect(|bias| ranks.announce(bias));
    let (weight, bias, ranks) = (weight.clone(), bias.cloned(), ranks.clone());
    let y_ghost = y.ghost();
    tape.add_backward_op(move |grads| {
        let dev = x.device();
        let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, dev)?;
        let mut grad_w = take_gradient(grads.get_or_alloc_mut(&weight)?, dev)?;
        let mut grad_b = match &bias {
            Some(bias) => Some(take_gradient(grads.get_or_alloc_mut(bias)?, dev)?),
            None => None,
        };
        let x_grad = grads.get_or_alloc_mut(&x)?;
        let parts = ranks.parts();
        let gradients = LinearGradients { x: x_grad, weight: &mut grad_w, bias: grad_b.as_mut(), parts };
        dev.linear_backward(&x, &weight, &grad_y, gradients)?;
        ranks.hand_over(&weight, grad_w, grads)?;
        match (&bias, grad_b) {
            (Some(bias), Some(grad_b)) => ranks.hand_over(bias, grad_b, grads),
            _ => Ok(()),
        }
    });
    y.put_tape(tape)
}

impl<const IN: usize, const OUT: usize, D: Backend> NamedTensors<D> for Linear<IN, OUT, D> {
    parts! { "weight": weight, "bias": bias; ranks }
}

impl<const IN: usize, const OUT: usize, D: Backend> Module<D> for Linear<IN, OUT, D> {
    fn new(dev: &D, rng: &InitRng) -> Self {
        Self { weight: rng.child("weight").kaiming_uniform(dev, IN), bias: None, ranks: Ranks::default() }
    }
}
