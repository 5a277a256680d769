//! Optimisers: SGD with momentum, LARS and AdamW, with a learning rate per group of parameters.
//!
//! Each is a [`Rule`] in its own file. Keeping its state, and saving it in checkpoints, is the same for all.

use std::collections::BTreeMap;

use dfdx::prelude::*;

use crate::backend::Backend;
use crate::module::{AnyTensor, NamedTensors};
use crate::state::{NamedTensor, StateError, by_name, none_left, take};

mod sgd;
pub use sgd::SgdConfig;

mod lars;
pub use lars::LarsConfig;

mod adamw;
pub use adamw::AdamWConfig;

/// The learning rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRates {
    /// Rate of encoder and projector.
    pub base: f32,
    /// Rate of the parameters under `predictor.`, which SimSiam's recipe keeps constant.
    pub predictor: f32,
    /// Rate of the parameters under `prototypes.`, which SwAV does not train in the first epoch.
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
pub(crate) fn is_trained(name: &str) -> bool {
    name.split('.').next() != Some("target")
}

/// The update rule of an optimiser.
pub trait Rule<D: Backend>: Clone {
    /// Its name, and the state that it keeps of each parameter.
    fn memory(&self) -> Memory;

    /// Updates one parameter.
    ///
    /// # Errors
    /// If the device fails.
    fn update(
        &self,
        parameter: &mut dyn AnyTensor<D>,
        kept: &mut Kept<D>,
        grads: &mut Gradients<f32, D>,
        learning_rate: f32,
    ) -> Result<(), D::Err>;
}

/// The state that a rule keeps of each parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The rule's name, for errors.
    pub rule: &'static str,
    /// Tensors with a value per element of the parameter: the suffix of each one's name in a checkpoint.
    pub values: &'static [&'static str],
    /// The suffix of the step count's name in a checkpoint, if the steps of each parameter are counted.
    pub steps: Option<&'static str>,
}

/// The state of one parameter.
#[derive(Clone, Debug)]
pub struct Kept<D: Backend> {
    /// The tensors, in the order of [`Memory::values`].
    pub values: Vec<Tensor<(usize,), f32, D>>,
    /// Steps done, if they are counted.
    pub steps: u64,
}

/// One of the update rules.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent with momentum.
    Sgd(SgdConfig),
    /// SGD with layer-wise adaptive rates.
    Lars(LarsConfig),
    /// Adam with decoupled weight decay.
    AdamW(AdamWConfig),
}

impl<D: Backend> Rule<D> for OptimizerConfig {
    fn memory(&self) -> Memory {
        match self {
            Self::Sgd(_) => sgd::MEMORY,
            Self::Lars(_) => lars::MEMORY,
            Self::AdamW(_) => adamw::MEMORY,
        }
    }

    fn update(
        &self,
        parameter: &mut dyn AnyTensor<D>,
        kept: &mut Kept<D>,
        grads: &mut Gradients<f32, D>,
        learning_rate: f32,
    ) -> Result<(), D::Err> {
        match self {
            Self::Sgd(rule) => rule.update(parameter, kept, grads, learning_rate),
            Self::Lars(rule) => rule.update(parameter, kept, grads, learning_rate),
            Self::AdamW(rule) => rule.update(parameter, kept, grads, learning_rate),
        }
    }
}

/// Updates a network's parameters by a rule. A parameter whose rate is 0 is skipped and its state unchanged, like a
/// PyTorch parameter without gradient.
#[derive(Clone, Debug)]
pub struct Optimizer<D: Backend, R = OptimizerConfig> {
    rule: R,
    kept: BTreeMap<String, Kept<D>>,
}

/// An SGD optimiser.
pub type Sgd<D> = Optimizer<D, SgdConfig>;

impl<D: Backend, R: Rule<D>> Optimizer<D, R> {
    /// A new optimiser without state.
    pub fn new(rule: R) -> Self {
        Self { rule, kept: BTreeMap::new() }
    }

    /// Updates all of the model's parameters once.
    ///
    /// # Errors
    /// If the device fails.
    pub fn update<M: NamedTensors<D> + ?Sized>(
        &mut self,
        model: &mut M,
        grads: &mut Gradients<f32, D>,
        rates: &LearningRates,
    ) -> Result<(), D::Err> {
        let Self { rule, kept } = self;
        model.visit_mut("", &mut |name, is_parameter, tensor| {
            if !is_parameter || !is_trained(name) {
                return Ok(());
            }
            // Also of one that rests: a checkpoint has what is kept of all.
            let kept = match kept.get_mut(name) {
                Some(kept) => kept,
                None => kept.entry(name.to_owned()).or_insert(at_rest(rule, tensor)?),
            };
            let learning_rate = rates.of(name);
            if learning_rate == 0.0 {
                return Ok(());
            }
            kept.steps += 1;
            rule.update(tensor, kept, grads, learning_rate)
        })
    }

    /// The state by parameter name, for a checkpoint.
    pub fn export(&self) -> Vec<NamedTensor> {
        let Memory { values, steps, .. } = self.rule.memory();
        let mut tensors = Vec::new();
        for (name, kept) in &self.kept {
            let values = values.iter().zip(&kept.values).map(|(suffix, values)| (suffix, values.as_vec()));
            // Exact up to 2^24 steps, long after the last of which it tells anything.
            let steps = steps.iter().map(|suffix| (suffix, vec![kept.steps as f32]));
            tensors.extend(values.chain(steps).map(|(suffix, data)| NamedTensor {
                name: format!("{name}{suffix}"),
                shape: vec![data.len()],
                data,
            }));
        }
        tensors
    }

    /// Restores what [`export`](Self::export) gave: the state of all of `model`'s parameters, or none (a new
    /// optimiser).
    ///
    /// # Errors
    /// If the values belong to another rule, one is missing or has another length, or a name is left over. Nothing
    /// changes then.
    pub fn import<M: NamedTensors<D> + ?Sized>(
        &mut self,
        model: &M,
        tensors: &[NamedTensor],
    ) -> Result<(), StateError> {
        if tensors.is_empty() {
            self.kept.clear();
            return Ok(());
        }
        let memory = self.rule.memory();
        let of = rule_of(tensors);
        if of != memory.rule {
            return Err(StateError::OtherOptimizer { expected: memory.rule, found: of });
        }
        let mut given = by_name(tensors)?;
        let (mut kept, mut fitting) = (BTreeMap::new(), Ok(()));
        model.visit("", &mut |name, is_parameter, tensor| {
            if !is_parameter || !is_trained(name) || fitting.is_err() {
                return;
            }
            match taken(&memory, &mut given, name, tensor) {
                Ok(found) => drop(kept.insert(name.to_owned(), found)),
                Err(error) => fitting = Err(error),
            }
        });
        fitting?;
        none_left(&given)?;
        self.kept = kept;
        Ok(())
    }
}

/// What is kept of a parameter before its first step.
fn at_rest<D: Backend, R: Rule<D>>(rule: &R, tensor: &dyn AnyTensor<D>) -> Result<Kept<D>, D::Err> {
    let len: usize = tensor.sizes().iter().product();
    let zeros = rule.memory().values.iter().map(|_| tensor.on_device().try_zeros_like(&(len,)));
    Ok(Kept { values: zeros.collect::<Result<_, _>>()?, steps: 0 })
}

/// What a checkpoint has kept of a parameter.
fn taken<D: Backend>(
    memory: &Memory,
    given: &mut BTreeMap<&str, &NamedTensor>,
    name: &str,
    tensor: &dyn AnyTensor<D>,
) -> Result<Kept<D>, StateError> {
    let len = tensor.sizes().iter().product();
    let mut values = Vec::new();
    for suffix in memory.values {
        let found = take(given, &format!("{name}{suffix}"), &[len])?;
        values.push(tensor.on_device().tensor_from_vec(found.data.clone(), (len,)));
    }
    let steps = match memory.steps {
        Some(suffix) => take(given, &format!("{name}{suffix}"), &[1])?.data[0] as u64,
        None => 0,
    };
    Ok(Kept { values, steps })
}

/// The name of the rule that has kept these values: SGD's have the parameters' own names.
fn rule_of(tensors: &[NamedTensor]) -> &'static str {
    let is_of = |memory: &Memory| {
        let suffix = memory.values[0];
        tensors.iter().any(|tensor| tensor.name.ends_with(suffix))
    };
    [lars::MEMORY, adamw::MEMORY].into_iter().find(is_of).unwrap_or(sgd::MEMORY).rule
}
