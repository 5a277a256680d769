//! What is saved of a loader.

use serde::{Deserialize, Serialize};

use super::Loader;
use crate::augment::Recipe;
use crate::quarantine::BadSample;

/// The place of a loader in its data: a few numbers, whatever the size of the data. Workers, queues and ranks are no part of it.
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
    /// What is done to each view.
    pub recipe: Recipe,
    /// Views of each image.
    pub views: usize,
    /// The shards' [fingerprint](crate::ShardSet::fingerprint).
    pub data: u64,
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
    /// Views would be other pixels.
    #[error("the loader's state belongs to another recipe or number of views")]
    Recipe,
    /// The shards are not those that the state belongs to.
    #[error(
        "the loader's state belongs to other shards (fingerprint {found:016x}, these have {expected:016x})"
    )]
    Data {
        /// The state's.
        found: u64,
        /// The shards'.
        expected: u64,
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
    pub const VERSION: u32 = 1;

    pub(super) fn check(&self, loader: &Loader) -> Result<(), StateError> {
        let (batch_size, data) = (loader.config.batch_size, loader.shards.fingerprint());
        if self.version != Self::VERSION {
            return Err(StateError::Version { found: self.version });
        }
        if self.batch_size != batch_size {
            return Err(StateError::BatchSize { found: self.batch_size, expected: batch_size });
        }
        if (&self.recipe, self.views) != (&loader.config.recipe, loader.config.views) {
            return Err(StateError::Recipe);
        }
        if self.data != data {
            return Err(StateError::Data { found: self.data, expected: data });
        }
        if self.step >= loader.len() {
            return Err(StateError::Step { found: self.step, steps: loader.len() });
        }
        Ok(())
    }
}
