//! A network is built from a generator of initial values, and its tensors have names.

use std::any::Any;

use dfdx::nn::ZeroGrads;
use dfdx::prelude::*;

use crate::backend::{AdamWStep, Backend, LarsStep, SgdStep, computed, take_gradient};
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::optim::is_trained;

mod buffer;
pub use buffer::{Buffer, Counter};

/// A part of a network that knows how to initialise its values.
pub trait Module<D: Backend>: NamedTensors<D> {
    /// Builds the part on `dev`, with initial values from `rng`'s seed and path.
    fn new(dev: &D, rng: &InitRng) -> Self;
}

/// Named tensors in a fixed order, which checkpoints, optimisers and momentum networks iterate over.
///
/// Names are those of PyTorch's `state_dict`, such as `encoder.layer1.0.conv1.weight`.
pub trait NamedTensors<D: Backend> {
    /// Visits every tensor; its name is `prefix.name`, or `name` when the prefix is empty.
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>);

    /// Visits every tensor mutably.
    ///
    /// # Errors
    /// The first error of `each`.
    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err>;

    /// Sets the ranks that the layers' batches are divided among.
    fn join(&mut self, ranks: &Ranks);
}

/// A callback for each tensor, with its name, whether it is a parameter (not a running statistic), and the tensor.
pub type Visitor<'a, D> = dyn FnMut(&str, bool, &dyn AnyTensor<D>) + 'a;

/// A callback that may change each tensor.
pub type VisitorMut<'a, D> =
    dyn FnMut(&str, bool, &mut dyn AnyTensor<D>) -> Result<(), <D as HasErr>::Err> + 'a;

/// Sets the gradients of all trained parameters to 0 and drops all others.
pub fn zero_grads<D: Backend, M: NamedTensors<D> + ?Sized>(model: &M, grads: &mut Gradients<f32, D>) {
    model.visit("", &mut |name, is_parameter, tensor| {
        if is_parameter && is_trained(name) {
            tensor.zero_gradient(grads);
        }
    });
}

/// The Euclidean norm of each trained parameter tensor's gradient, in the tensors' order.
///
/// # Panics
/// If one has no gradient.
pub fn gradient_norms<D: Backend, M: NamedTensors<D> + ?Sized>(
    model: &M,
    grads: &Gradients<f32, D>,
) -> Vec<f64> {
    let mut norms = Vec::new();
    model.visit("", &mut |name, is_parameter, tensor| {
        if is_parameter && is_trained(name) {
            let squares = tensor.gradient(grads).into_iter().map(|value| f64::from(value).powi(2));
            norms.push(squares.sum::<f64>().sqrt());
        }
    });
    norms
}

/// `follower = momentum follower + (1 - momentum) leader` for every parameter of two networks of the same kind. The
/// running statistics of batch norm stay the follower's own, as in MoCo and BYOL: its own passes renew them.
pub(crate) fn follow<D: Backend, M: NamedTensors<D>>(follower: &mut M, leader: &M, momentum: f64) {
    let mut leading = Vec::new();
    leader.visit("", &mut |_, is_parameter, tensor| {
        if is_parameter {
            leading.push(tensor.shared());
        }
    });
    let mut leading = leading.into_iter();
    let followed = follower.visit_mut("", &mut |_, is_parameter, tensor| {
        if is_parameter {
            tensor.follow(&*leading.next().expect("both have the same parameters"), momentum);
        }
        Ok(())
    });
    computed(followed);
}

/// A parameter or a buffer, of any shape. Only parameters have gradients, follow others and are updated: the methods
/// from [`gradient`](Self::gradient) on, and [`address`](Self::address), are not called for buffers.
pub trait AnyTensor<D: Backend> {
    /// The device that holds it.
    fn on_device(&self) -> &D;

    /// Its shape.
    fn sizes(&self) -> Vec<usize>;

    /// Where its values are, which tells it from others until they change.
    fn address(&self) -> usize {
        unreachable!("a buffer is told by its name")
    }

    /// The values in row-major order.
    fn values(&self) -> Vec<f32>;

    /// Replaces all values.
    ///
    /// # Panics
    /// If the number of values differs.
    fn replace(&mut self, values: &[f32]);

    /// Its gradient's values in row-major order.
    ///
    /// # Panics
    /// If it has none.
    fn gradient(&self, _grads: &Gradients<f32, D>) -> Vec<f32> {
        unreachable!("a buffer has no gradient")
    }

    /// Takes its gradient, which may consist of several parts of the batch, concatenated.
    ///
    /// # Errors
    /// If the device fails.
    fn take_gradient(&self, _grads: &mut Gradients<f32, D>) -> Result<Vec<f32>, D::Err> {
        unreachable!("a buffer has no gradient")
    }

    /// Puts a gradient in place.
    ///
    /// # Errors
    /// If the device fails.
    fn put_gradient(&self, _grads: &mut Gradients<f32, D>, _values: &[f32]) -> Result<(), D::Err> {
        unreachable!("a buffer has no gradient")
    }

    /// Sets its gradient to 0. From now on, only gradients for which this was called are kept.
    fn zero_gradient(&self, _grads: &mut Gradients<f32, D>) {
        unreachable!("a buffer has no gradient")
    }

    /// A handle to the same values, for [`follow`](Self::follow).
    fn shared(&self) -> Box<dyn Any> {
        unreachable!("no buffer follows another")
    }

    /// `self = momentum self + (1 - momentum) leader`, where `leader` comes from [`shared`](Self::shared).
    ///
    /// # Panics
    /// If it has another shape.
    fn follow(&mut self, _leader: &dyn Any, _momentum: f64) {
        unreachable!("no buffer follows another")
    }

    /// Updates it by its gradient and the rule's state for it.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the state has another number of tensors than the rule needs.
    fn update(
        &mut self,
        _step: &Step,
        _kept: &mut [Tensor<(usize,), f32, D>],
        _grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        unreachable!("a buffer is not trained")
    }
}

/// The parameters of one update step, by the optimiser's rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Keeps a velocity.
    Sgd(SgdStep),
    /// Keeps a velocity.
    Lars(LarsStep),
    /// Keeps the first and second moments.
    AdamW(AdamWStep),
}

impl<S: ConstShape, D: Backend> AnyTensor<D> for Tensor<S, f32, D> {
    fn on_device(&self) -> &D {
        self.device()
    }

    fn sizes(&self) -> Vec<usize> {
        self.shape().concrete().into()
    }

    fn address(&self) -> usize {
        self.device().address(self)
    }

    fn values(&self) -> Vec<f32> {
        self.as_vec()
    }

    fn gradient(&self, grads: &Gradients<f32, D>) -> Vec<f32> {
        grads.get(self).as_vec()
    }

    fn take_gradient(&self, grads: &mut Gradients<f32, D>) -> Result<Vec<f32>, D::Err> {
        let dev = self.device();
        dev.host(take_gradient(grads.get_or_alloc_mut(self)?, dev)?)
    }

    fn put_gradient(&self, grads: &mut Gradients<f32, D>, values: &[f32]) -> Result<(), D::Err> {
        *grads.get_or_alloc_mut(self)? = self.device().gradient(values)?;
        Ok(())
    }

    fn zero_gradient(&self, grads: &mut Gradients<f32, D>) {
        self.zero_grads(grads);
    }

    fn shared(&self) -> Box<dyn Any> {
        Box::new(self.clone())
    }

    fn follow(&mut self, leader: &dyn Any, momentum: f64) {
        let leader = leader.downcast_ref::<Self>().expect("a tensor follows one of its shape");
        self.axpy(momentum, leader, 1.0 - momentum);
    }

    fn replace(&mut self, values: &[f32]) {
        self.copy_from(values);
    }

    fn update(
        &mut self,
        step: &Step,
        kept: &mut [Tensor<(usize,), f32, D>],
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        let (dev, gradient) = (self.device().clone(), grads.get_or_alloc_mut(self)?);
        match (step, kept) {
            (Step::Sgd(step), [velocity]) => dev.sgd_update(step, self, velocity, gradient),
            (Step::Lars(step), [velocity]) => dev.lars_update(step, self, velocity, gradient),
            (Step::AdamW(step), [first, second]) => dev.adamw_update(step, self, first, second, gradient),
            (step, kept) => panic!("{} tensors are kept for {step:?}", kept.len()),
        }
    }
}

/// The name of a part of `prefix`; either may be empty.
pub(crate) fn joined(prefix: &str, name: &str) -> String {
    let dot = if prefix.is_empty() || name.is_empty() { "" } else { "." };
    format!("{prefix}{dot}{name}")
}

/// The [`NamedTensors`] of a piece of network: its fields in their order, each with its name, which is empty for one
/// whose tensors are named as the piece's own. A piece that looks across the batch names the field of its ranks last.
macro_rules! parts {
    ($($name:literal: $($field:ident).+),+ $(,)? $(; $ranks:ident)?) => {
        fn visit(&self, prefix: &str, each: &mut $crate::module::Visitor<'_, D>) {
            $($crate::module::NamedTensors::visit(
                &self.$($field).+,
                &$crate::module::joined(prefix, $name),
                each,
            );)+
        }

        fn visit_mut(
            &mut self,
            prefix: &str,
            each: &mut $crate::module::VisitorMut<'_, D>,
        ) -> Result<(), D::Err> {
            $($crate::module::NamedTensors::visit_mut(
                &mut self.$($field).+,
                &$crate::module::joined(prefix, $name),
                each,
            )?;)+
            Ok(())
        }

        fn join(&mut self, ranks: &$crate::collective::Ranks) {
            $($crate::module::NamedTensors::<D>::join(&mut self.$($field).+, ranks);)+
            $(self.$ranks = ranks.clone();)?
        }
    };
}
pub(crate) use parts;

/// A parameter.
impl<S: ConstShape, D: Backend> NamedTensors<D> for Tensor<S, f32, D> {
    fn visit(&self, name: &str, each: &mut Visitor<'_, D>) {
        each(name, true, self);
    }

    fn visit_mut(&mut self, name: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        each(name, true, self)
    }

    fn join(&mut self, _: &Ranks) {}
}

impl<M: NamedTensors<D> + ?Sized, D: Backend> NamedTensors<D> for Box<M> {
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        (**self).visit(prefix, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        (**self).visit_mut(prefix, each)
    }

    fn join(&mut self, ranks: &Ranks) {
        (**self).join(ranks);
    }
}

/// A part that may be missing.
impl<M: NamedTensors<D>, D: Backend> NamedTensors<D> for Option<M> {
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        if let Some(part) = self {
            part.visit(prefix, each);
        }
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        self.as_mut().map_or(Ok(()), |part| part.visit_mut(prefix, each))
    }

    fn join(&mut self, ranks: &Ranks) {
        if let Some(part) = self {
            part.join(ranks);
        }
    }
}
