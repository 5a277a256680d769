//! What is saved of a loader.

use serde::{Deserialize, Serialize};

use super::Loader;
use crate::augment::Recipe;
use crate::quarantine::BadSample;
use crate::sampler::{LastBatch, Order, Part};
use crate::shards::Fingerprint;

/// The place of a loader in its data: a few numbers, whatever the size of the data. Workers, queues and ranks are no part of it,
/// nor is a step of the caller's own ([`ViewOperation`](crate::ViewOperation)): the caller keeps that the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderState {
    /// Of this format.
    pub version: u32,
    /// The source of all randomness.
    pub seed: u64,
    /// Epoch of the next batch.
    pub epoch: u64,
    /// Its step in the epoch.
    pub step: u64,
    /// Images a batch, over all ranks: what a step is.
    pub batch_size: usize,
    /// Shuffled, whole or in windows, or sequential. Version 1 did not record this, nor the next two.
    #[serde(default)]
    pub order: Order,
    /// Which samples.
    #[serde(default)]
    pub part: Part,
    /// What they are a part of, where some samples were chosen or sets mixed: the population's
    /// [fingerprint](crate::sampler::Population::fingerprint).
    #[serde(default)]
    pub population: Option<u64>,
    /// Whether an epoch ends with a smaller batch.
    #[serde(default)]
    pub last_batch: LastBatch,
    /// What is done to each view.
    pub recipe: Recipe,
    /// Views of each image.
    pub views: usize,
    /// The shards' [fingerprint](crate::ShardSet::fingerprint).
    pub data: Fingerprint,
    /// Samples that could not be used so far, for the budget.
    pub bad: Vec<BadSample>,
}

/// A state that does not fit a loader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Written by another version of this crate.
    #[error("the loader's state has version {found}, expected {}", LoaderState::VERSION)]
    Version {
        /// The state's.
        found: u32,
    },
    /// Steps would mean other samples.
    #[error("the loader's state has batches of {found}, this loader of {expected}")]
    BatchSize {
        /// The state's.
        found: usize,
        /// The loader's.
        expected: usize,
    },
    /// Steps would mean other samples.
    #[error(
        "the loader's state has samples in another order (shuffled whole, in windows of so many shards, or sequential)"
    )]
    Order,
    /// Steps would mean other samples.
    #[error("the loader's state belongs to another part of the samples")]
    Part,
    /// Steps would mean other samples.
    #[error("the loader's state belongs to another choice of samples or another mixture of sets")]
    Population,
    /// Epochs would be of another length.
    #[error(
        "the loader's state treats the last batch of an epoch in another way (one drops it, one keeps it)"
    )]
    LastBatch,
    /// Views would be other pixels.
    #[error("the loader's state belongs to another recipe or number of views")]
    Recipe,
    /// The shards are not those that the state belongs to.
    #[error("the loader's state belongs to other shards (of fingerprint {found}, these have {expected})")]
    Data {
        /// The state's.
        found: Fingerprint,
        /// The shards'.
        expected: Fingerprint,
    },
    /// The epoch has fewer steps.
    #[error("the loader's state is at step {found}, an epoch has {steps}")]
    Step {
        /// The state's.
        found: u64,
        /// Batches in an epoch.
        steps: u64,
    },
}

impl LoaderState {
    /// Raised when the meaning of the fields changes.
    pub const VERSION: u32 = 3;

    pub(super) fn check(&self, loader: &Loader) -> Result<(), StateError> {
        let (batch_size, data) = (loader.config.batch_size, loader.shards.fingerprint());
        if self.version != Self::VERSION {
            return Err(StateError::Version { found: self.version });
        }
        if self.batch_size != batch_size {
            return Err(StateError::BatchSize { found: self.batch_size, expected: batch_size });
        }
        let config = &loader.config;
        if self.order != config.order {
            return Err(StateError::Order);
        }
        if self.part != config.part {
            return Err(StateError::Part);
        }
        if self.population != config.population(&loader.shards).fingerprint() {
            return Err(StateError::Population);
        }
        if self.last_batch != config.last_batch {
            return Err(StateError::LastBatch);
        }
        if (&self.recipe, self.views) != (&config.recipe, config.views) {
            return Err(StateError::Recipe);
        }
        if !self.data.matches(&data) {
            return Err(StateError::Data { found: self.data, expected: data });
        }
        if self.step >= loader.len() {
            return Err(StateError::Step { found: self.step, steps: loader.len() });
        }
        Ok(())
    }
}
