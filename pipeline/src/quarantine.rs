//! The list of unusable samples, and the budget for their number.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::PipelineError;

/// What to do with an unusable sample: one that cannot be read or decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnBadSample {
    /// Replace it by another (leave it out in evaluation), until more than this share of all samples is bad.
    Skip {
        /// From 0 to 1. One bad sample is always allowed.
        budget: f64,
    },
    /// Stop at the first one.
    Fail,
}

impl Default for OnBadSample {
    fn default() -> Self {
        Self::Skip { budget: 0.01 }
    }
}

/// An unusable sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadSample {
    /// Its number in the shard set.
    pub sample: u64,
    /// Shard, sample and key, as text.
    pub place: String,
    /// Byte offset of the image in its shard.
    pub offset: u64,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for BadSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, offset {}: {}", self.place, self.offset, self.cause)
    }
}

/// Collects the bad samples of all pipelines that share it, over a whole run.
pub struct Quarantine {
    policy: OnBadSample,
    samples: u64,
    bad: Mutex<BTreeMap<u64, BadSample>>,
}

impl Quarantine {
    /// An empty list for a data set of `samples` samples.
    pub fn new(policy: OnBadSample, samples: u64) -> Self {
        Self { policy, samples, bad: Mutex::default() }
    }

    /// The distinct bad samples so far, ordered by number.
    pub fn list(&self) -> Vec<BadSample> {
        self.lock().values().cloned().collect()
    }

    /// The number of distinct bad samples so far.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no bad sample was found so far.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Restores the bad samples that an earlier part of the run found.
    pub fn restore(&self, bad: impl IntoIterator<Item = BadSample>) {
        self.lock().extend(bad.into_iter().map(|bad| (bad.sample, bad)));
    }

    /// Checks that the restored samples are within the budget.
    ///
    /// # Errors
    /// If they are not.
    pub fn check_budget(&self) -> Result<(), PipelineError> {
        let list = self.lock();
        match (self.budget(), list.last_key_value()) {
            (Some(budget), Some((_, last))) => self.within(budget, list.len() as u64, last),
            _ => Ok(()),
        }
    }

    /// Notes a bad sample; logs one that is skipped the first time.
    ///
    /// # Errors
    /// If the policy is to fail, or the budget is spent.
    pub(crate) fn add(&self, bad: BadSample) -> Result<(), PipelineError> {
        let mut list = self.lock();
        let is_new = list.insert(bad.sample, bad.clone()).is_none();
        let Some(budget) = self.budget() else { return Err(PipelineError::BadSample(Box::new(bad))) };
        if is_new {
            tracing::warn!("skipped {bad}");
        }
        self.within(budget, list.len() as u64, &bad)
    }

    /// How many samples may be bad; `None` where the first ends all.
    fn budget(&self) -> Option<u64> {
        match self.policy {
            OnBadSample::Fail => None,
            OnBadSample::Skip { budget } => Some(((self.samples as f64 * budget) as u64).max(1)),
        }
    }

    fn within(&self, budget: u64, bad: u64, last: &BadSample) -> Result<(), PipelineError> {
        if bad <= budget {
            return Ok(());
        }
        let (samples, last) = (self.samples, Box::new(last.clone()));
        Err(PipelineError::BudgetExceeded { bad, samples, budget, last })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, BadSample>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(sample: u64) -> BadSample {
        BadSample { sample, place: format!("shard a.tar, sample {sample}"), offset: 512, cause: "x".into() }
    }

    #[test]
    fn the_budget_counts_distinct_samples_and_allows_one() {
        let quarantine = Quarantine::new(OnBadSample::Skip { budget: 0.02 }, 100);
        for sample in [3, 3, 4, 3] {
            quarantine.add(bad(sample)).unwrap();
        }
        let error = quarantine.add(bad(5)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 of 100 samples are unusable, more than the budget of 2; the last one: shard a.tar, sample 5, offset 512: x"
        );
        assert!(Quarantine::new(OnBadSample::Skip { budget: 0.0 }, 5).add(bad(1)).is_ok());
    }

    #[test]
    fn samples_that_were_put_back_count() {
        let quarantine = Quarantine::new(OnBadSample::Skip { budget: 0.02 }, 100);
        quarantine.restore([bad(1), bad(2)]);
        quarantine.check_budget().unwrap();
        quarantine.restore([bad(7)]);
        let error = quarantine.check_budget().unwrap_err().to_string();
        assert!(
            error.starts_with("3 of 100 samples are unusable, more than the budget of 2; the last one: "),
            "{error}"
        );
    }

    #[test]
    fn the_sample_that_fails_is_in_the_list() {
        let quarantine = Quarantine::new(OnBadSample::Fail, 5);
        assert!(quarantine.add(bad(1)).is_err());
        assert_eq!(quarantine.list(), [bad(1)]);
    }
}
