//! The samples to draw from, and those that a pipeline streams.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::mixture::Mixture;
use super::permutation::Permutation;
use super::sample_set::SampleSet;

/// The samples of a run: all or some of its shards' samples, drawn equally often or in the proportions of a mixture.
/// Clones share them.
#[derive(Clone, Debug)]
pub struct Population {
    /// The number of the first sample of each shard; one more entry holds the total.
    pub(super) first_samples: Arc<[u64]>,
    pub(super) chosen: Option<SampleSet>,
    pub(super) mixture: Option<Mixture>,
}

impl Population {
    /// All of `samples` samples, treated as one shard.
    pub fn all(samples: u64) -> Self {
        Self::of_shards([0, samples])
    }

    /// All samples of shards. `first_samples` has the number of each shard's first sample, followed by the total.
    pub fn of_shards(first_samples: impl Into<Arc<[u64]>>) -> Self {
        Self { first_samples: first_samples.into(), chosen: None, mixture: None }
    }

    /// Restricts the population to `chosen`, if given.
    pub fn choose(self, chosen: Option<SampleSet>) -> Self {
        Self { chosen, ..self }
    }

    /// Draws in these proportions in a shuffled epoch, if given.
    pub fn mix(self, mixture: Option<Mixture>) -> Self {
        Self { mixture, ..self }
    }

    /// Number of chosen samples.
    pub fn len(&self) -> u64 {
        self.chosen.as_ref().map_or_else(|| self.samples(), SampleSet::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Identifies the choice and the mixture; `None` without either. Two conditions that choose the same samples have
    /// the same fingerprint.
    pub fn fingerprint(&self) -> Option<u64> {
        let Self { chosen, mixture, .. } = self;
        (chosen.is_some() || mixture.is_some()).then(|| {
            let mut hash = Xxh3::new();
            for (kind, part) in [chosen.as_ref().map(SampleSet::words), mixture.as_ref().map(Mixture::words)]
                .into_iter()
                .enumerate()
            {
                let words = part.unwrap_or_default();
                for word in [kind as u64, words.len() as u64].into_iter().chain(words) {
                    hash.update(&word.to_le_bytes());
                }
            }
            hash.digest()
        })
    }

    /// Number of samples in the shards.
    pub(super) fn samples(&self) -> u64 {
        self.first_samples.last().copied().unwrap_or(0)
    }

    /// Samples to draw from before the first one of each shard, and the total.
    pub(super) fn bounds(&self) -> Vec<u64> {
        let before = |&first: &u64| self.chosen.as_ref().map_or(first, |chosen| chosen.before(first));
        self.first_samples.iter().map(before).collect()
    }
}

/// Which samples a pipeline streams. The split depends only on the number of samples, so every run and every evaluation
/// of the same shards holds out the same samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Part {
    /// All of them.
    #[default]
    All,
    /// All but a random `held_out` of them.
    Kept {
        /// Number of samples held out.
        held_out: u64,
    },
    /// The random `held_out` that [`Part::Kept`] leaves out.
    HeldOut {
        /// Number of samples held out.
        held_out: u64,
    },
}

impl Part {
    /// Number of samples in this part of `samples`.
    pub fn len(self, samples: u64) -> u64 {
        match self {
            Self::All => samples,
            Self::Kept { held_out } => samples.saturating_sub(held_out),
            Self::HeldOut { held_out } => held_out.min(samples),
        }
    }
}

/// The samples in use: those of a population that are chosen and in the part. They are counted in two ways: as the split draws
/// them, which needs no list, and by their numbers, which needs one of the samples held out.
#[derive(Debug)]
pub(super) struct Members {
    chosen: Option<SampleSet>,
    part: Part,
    split: Option<Split>,
    held_out: Option<SampleSet>,
}

/// A part of the samples as a slice of a fixed permutation of all.
#[derive(Debug)]
struct Split {
    permutation: Permutation,
    first: u64,
}

/// The key of the fixed permutation behind [`Part`].
const SPLIT: u64 = 0x5350_4c49_5400_0001;

impl Members {
    pub(super) fn new(population: &Population, part: Part) -> Self {
        let all = population.len();
        let split = |first| Some(Split { permutation: Permutation::new(all, SPLIT), first });
        let split = match part {
            Part::All => None,
            Part::Kept { held_out } => split(held_out.min(all)),
            Part::HeldOut { .. } => split(0),
        };
        Self { chosen: population.chosen.clone(), part, split, held_out: None }
    }

    /// Lists what is held out: eight bytes a sample for the moment, and less for good.
    pub(super) fn numbered(mut self) -> Self {
        if let (Some(split), Part::Kept { held_out } | Part::HeldOut { held_out }) = (&self.split, self.part)
        {
            let all = split.permutation.len();
            let mut places: Vec<u64> = (0..held_out.min(all)).map(|i| split.permutation.at(i)).collect();
            places.sort_unstable();
            self.held_out = Some(SampleSet::new(&places, all));
        }
        self
    }

    /// Whether the split draws them in the order of their numbers.
    pub(super) fn is_in_order(&self) -> bool {
        self.split.is_none()
    }

    /// The `i`-th sample that the split draws.
    pub(super) fn drawn(&self, i: u64) -> u64 {
        self.chosen(self.split.as_ref().map_or(i, |split| split.permutation.at(split.first + i)))
    }

    /// The `i`-th sample by number. Of a part, only where they are [numbered](Self::numbered).
    pub(super) fn nth(&self, i: u64) -> u64 {
        self.chosen(match (&self.held_out, self.part) {
            (Some(held_out), Part::Kept { .. }) => held_out.get_missing(i),
            (Some(held_out), _) => held_out.get(i),
            (None, _) => i,
        })
    }

    /// How many have a number less than `sample`. Of a part, only where they are [numbered](Self::numbered).
    pub(super) fn before(&self, sample: u64) -> u64 {
        let chosen = self.chosen.as_ref().map_or(sample, |chosen| chosen.before(sample));
        match (&self.held_out, self.part) {
            (Some(held_out), Part::Kept { .. }) => chosen - held_out.before(chosen),
            (Some(held_out), _) => held_out.before(chosen),
            (None, _) => chosen,
        }
    }

    fn chosen(&self, i: u64) -> u64 {
        self.chosen.as_ref().map_or(i, |chosen| chosen.get(i))
    }
}
