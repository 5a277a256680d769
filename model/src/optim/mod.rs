//! Stochastic gradient descent with momentum, as PyTorch's `SGD`, and two learning rates.

use std::collections::BTreeMap;

use dfdx::prelude::*;

use crate::backend::{Backend, SgdStep};
use crate::module::NamedTensors;
use crate::state::{NamedTensor, StateError, by_name, none_left, take};

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

    /// The rate of a parameter.
    fn of(&self, name: &str) -> f32 {
        match name.split('.').next() {
            Some("predictor") => self.predictor,
            Some("prototypes") => self.prototypes,
            _ => self.base,
        }
    }
}

/// Whether a parameter is trained: those under `target.` follow others.
fn is_trained(name: &str) -> bool {
    name.split('.').next() != Some("target")
}

/// `v = momentum v + (g + weight_decay p)`, `p = p - rate v`; `v` begins at 0, so the first `v` is the gradient. A parameter
/// whose rate is 0 rests: its `v` stays as it is, as that of a PyTorch parameter without gradient.
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
    pub fn update<M: NamedTensors<D> + ?Sized>(
        &mut self,
        model: &mut M,
        grads: &mut Gradients<f32, D>,
        rates: &LearningRates,
    ) -> Result<(), D::Err> {
        let Self { config, velocity } = self;
        model.visit_mut("", &mut |name, is_parameter, tensor| {
            if !is_parameter || !is_trained(name) {
                return Ok(());
            }
            // Also of one that rests: a checkpoint has the velocities of all.
            let velocity = match velocity.get_mut(name) {
                Some(velocity) => velocity,
                None => velocity
                    .entry(name.to_owned())
                    .or_insert(tensor.on_device().try_zeros_like(&(tensor.sizes().iter().product(),))?),
            };
            let SgdConfig { momentum, weight_decay } = *config;
            let learning_rate = rates.of(name);
            if learning_rate == 0.0 {
                return Ok(());
            }
            tensor.sgd_update(&SgdStep { learning_rate, momentum, weight_decay }, velocity, grads)
        })
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
    pub fn import<M: NamedTensors<D> + ?Sized>(
        &mut self,
        model: &M,
        tensors: &[NamedTensor],
    ) -> Result<(), StateError> {
        if tensors.is_empty() {
            self.velocity.clear();
            return Ok(());
        }
        let mut given = by_name(tensors)?;
        let (mut velocity, mut fitting) = (BTreeMap::new(), Ok(()));
        model.visit("", &mut |name, is_parameter, tensor| {
            if !is_parameter || !is_trained(name) || fitting.is_err() {
                return;
            }
            let len = tensor.sizes().iter().product();
            match take(&mut given, name, &[len]) {
                Ok(found) => {
                    let values = tensor.on_device().tensor_from_vec(found.data.clone(), (len,));
                    velocity.insert(name.to_owned(), values);
                }
                Err(error) => fitting = Err(error),
            }
        });
        fitting?;
        none_left(&given)?;
        self.velocity = velocity;
        Ok(())
    }
}
