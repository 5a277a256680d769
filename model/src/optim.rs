//! Stochastic gradient descent with momentum, as PyTorch's `SGD`, and two learning rates.

use std::collections::BTreeMap;

use dfdx::nn::{TensorOptions, TensorVisitor, ViewTensorMut, ViewTensorName, ViewTensorRef};
use dfdx::prelude::*;

use crate::backend::{Backend, SgdStep};
use crate::module::{NamedTensors, Visited};
use crate::state::{NamedTensor, StateError};

/// What stays the same during training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// Momentum: 0.9 in both recipes.
    pub momentum: f32,
    /// L2 penalty on all parameters, batch norm's and biases too: 1e-4 on ImageNet, 5e-4 on CIFAR-10.
    pub weight_decay: f32,
}

/// The learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRates {
    /// Of encoder and projector.
    pub base: f32,
    /// Of parameters under `predictor.`, which SimSiam's recipe does not decay.
    pub predictor: f32,
    /// Of parameters under `prototypes.`, which SwAV does not train in the first epoch.
    pub prototypes: f32,
}

impl LearningRates {
    /// One rate for all parameters.
    pub fn all(rate: f32) -> Self {
        Self { base: rate, predictor: rate, prototypes: rate }
    }

    /// The rate of a parameter; `None` if it is not trained: those under `target.` follow others.
    fn of(&self, name: &str) -> Option<f32> {
        match name.split('.').next() {
            Some("target") => None,
            Some("predictor") => Some(self.predictor),
            Some("prototypes") => Some(self.prototypes),
            _ => Some(self.base),
        }
    }
}

/// `v = momentum v + (g + weight_decay p)`, `p = p - rate v`; `v` begins at 0, so the first `v` is the gradient.
#[derive(Clone, Debug)]
pub struct Sgd<D: Backend> {
    config: SgdConfig,
    velocity: BTreeMap<String, Tensor<(usize,), f32, D>>,
}

impl<D: Backend> Sgd<D> {
    /// An optimiser at rest.
    pub fn new(config: SgdConfig) -> Self {
        Self { config, velocity: BTreeMap::new() }
    }

    /// One step of all of the model's parameters.
    ///
    /// # Errors
    /// If the device fails.
    pub fn update<M: NamedTensors<D>>(
        &mut self,
        model: &mut M,
        grads: &mut Gradients<f32, D>,
        rates: &LearningRates,
    ) -> Result<(), D::Err> {
        model.visit_mut("", &mut Update { sgd: self, grads, rates })
    }

    /// The velocities by parameter name, for a checkpoint.
    pub fn export(&self) -> Vec<NamedTensor> {
        let named = |(name, v): (&String, &Tensor<(usize,), f32, D>)| NamedTensor {
            name: name.clone(),
            shape: vec![v.shape().0],
            data: v.as_vec(),
        };
        self.velocity.iter().map(named).collect()
    }

    /// Puts back what [`export`](Self::export) gave: all of `model`'s parameters, or none (an optimiser at rest).
    ///
    /// # Errors
    /// If a parameter's velocity is missing or has another length, or a name is left over. Nothing has changed then.
    pub fn import<M: NamedTensors<D>>(
        &mut self,
        model: &M,
        tensors: &[NamedTensor],
    ) -> Result<(), StateError> {
        if tensors.is_empty() {
            self.velocity.clear();
            return Ok(());
        }
        let mut import = Import { given: crate::state::by_name(tensors)?, velocity: BTreeMap::new() };
        model.visit("", &mut import)?;
        crate::state::none_left(&import.given)?;
        self.velocity = import.velocity;
        Ok(())
    }
}

struct Update<'a, D: Backend> {
    sgd: &'a mut Sgd<D>,
    grads: &'a mut Gradients<f32, D>,
    rates: &'a LearningRates,
}

impl<D: Backend> TensorVisitor<f32, D> for Update<'_, D> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = f32;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, f32, D>,
        (p, name): (&mut Tensor<S, f32, D>, String),
    ) -> Visited<S, D, Self::Err> {
        let Some(learning_rate) = self.rates.of(&name).filter(|_| options.do_gradient_update) else {
            return Ok(None);
        };
        let dev = p.device().clone();
        let v = match self.sgd.velocity.entry(name) {
            std::collections::btree_map::Entry::Occupied(v) => v.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(dev.try_zeros_like(&(p.shape().num_elements(),))?)
            }
        };
        let step = SgdStep {
            learning_rate,
            momentum: self.sgd.config.momentum,
            weight_decay: self.sgd.config.weight_decay,
        };
        let g = self.grads.get_or_alloc_mut(p)?;
        dev.sgd_update(&step, p, v, g)?;
        Ok(None)
    }
}

struct Import<'a, D: Backend> {
    given: BTreeMap<&'a str, &'a NamedTensor>,
    velocity: BTreeMap<String, Tensor<(usize,), f32, D>>,
}

impl<D: Backend> TensorVisitor<f32, D> for Import<'_, D> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = StateError;
    type E2 = f32;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, f32, D>,
        (p, name): (&Tensor<S, f32, D>, String),
    ) -> Visited<S, D, Self::Err> {
        if options.do_gradient_update && LearningRates::all(0.0).of(&name).is_some() {
            let len = p.shape().num_elements();
            let given = crate::state::take(&mut self.given, &name, &[len])?;
            self.velocity.insert(name, p.device().tensor_from_vec(given.data.clone(), (len,)));
        }
        Ok(None)
    }
}
