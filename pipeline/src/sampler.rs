//! Which samples make up the batch at (seed, epoch, step, rank): a pure function, nothing stored.
//!
//! An epoch's order is a keyed bijection on `0..n` (a Feistel network with cycle walking, Black & Rogaway 2002), so
//! starting or resuming anywhere costs O(1) in time and memory, at any number of samples. The global batch is drawn
//! first and split over ranks after, so it depends on neither ranks nor workers.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// Draws the global order of every epoch and cuts it into batches.
#[derive(Clone, Debug)]
pub struct Sampler {
    samples: u64,
    batch_size: u64,
    seed: u64,
    order: Order,
    last_batch: LastBatch,
    world: World,
    subset: Option<Subset>,
}

/// The order in which an epoch visits the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new permutation each epoch. An unusable sample is replaced by another.
    #[default]
    Shuffled,
    /// In the shards' order, for evaluation. An unusable sample is left out.
    Sequential,
}

/// What becomes of the samples at the end of an epoch that don't fill a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastBatch {
    /// They are left out.
    #[default]
    Dropped,
    /// They make a smaller batch, split over the ranks as evenly as it can be.
    Kept,
}

/// This process's place among those that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Number of processes; divides the global batch.
    pub size: u64,
    /// This process, `0..size`.
    pub rank: u64,
}

impl World {
    /// One process alone.
    pub const SINGLE: World = World { size: 1, rank: 0 };
}

/// Which samples a pipeline streams. The split is drawn once, from the number of samples alone, so that every run and
/// every evaluation of the same shards holds out the same samples.
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

/// A part of the samples as a slice of a fixed permutation of all.
#[derive(Clone, Debug)]
struct Subset {
    permutation: Permutation,
    first: u64,
}

impl Subset {
    fn new(part: Part, samples: u64) -> Option<Self> {
        let first = match part {
            Part::All => return None,
            Part::Kept { held_out } => held_out.min(samples),
            Part::HeldOut { .. } => 0,
        };
        Some(Self { permutation: Permutation::new(samples, SPLIT), first })
    }

    fn sample(&self, index: u64) -> u64 {
        self.permutation.at(self.first + index)
    }
}

impl Sampler {
    /// A sampler over a part of `samples` samples with a *global* batch of `batch_size`.
    ///
    /// # Errors
    /// If the part or the batch is empty, the batch is larger than the part (where a smaller one is dropped) or not divided by
    /// the world's size, the rank is not in the world, or the order is shuffled and there are more ranks than samples.
    pub fn new(
        samples: u64,
        part: Part,
        batch_size: usize,
        seed: u64,
        order: Order,
        last_batch: LastBatch,
        world: World,
    ) -> Result<Self, ConfigError> {
        let (all, samples, batch) = (samples, part.len(samples), batch_size as u64);
        if batch == 0 {
            return Err(ConfigError::EmptyBatch);
        }
        if samples == 0 {
            return Err(ConfigError::EmptyPart { samples: all });
        }
        if last_batch == LastBatch::Dropped && batch > samples {
            return Err(ConfigError::BatchLargerThanData { batch_size, samples });
        }
        let World { size, rank } = world;
        if size == 0 {
            return Err(ConfigError::NoRanks);
        }
        if rank >= size {
            return Err(ConfigError::NoSuchRank { size, rank });
        }
        if !batch.is_multiple_of(size) {
            return Err(ConfigError::UnequalShares { batch_size, size });
        }
        // Where nothing is shuffled, a rank without images has an evaluation of none.
        if order == Order::Shuffled && samples < size {
            return Err(ConfigError::MoreRanksThanSamples { samples, size });
        }
        Ok(Self {
            samples,
            batch_size: batch,
            seed,
            order,
            last_batch,
            world,
            subset: Subset::new(part, all),
        })
    }

    /// Batches in one epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        match self.last_batch {
            LastBatch::Dropped => self.samples / self.batch_size,
            LastBatch::Kept => self.samples.div_ceil(self.batch_size),
        }
    }

    /// The order of one epoch.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        EpochOrder {
            permutation: (self.order == Order::Shuffled)
                .then(|| Permutation::new(self.samples, hash(self.seed, epoch))),
            substitutes: hash(hash(self.seed, epoch), SUBSTITUTES),
            samples: self.samples,
            subset: self.subset.clone(),
        }
    }

    /// The positions in the epoch's order that this rank takes at `step`.
    pub fn positions(&self, step: u64) -> Range<u64> {
        let start = (step * self.batch_size).min(self.samples);
        let batch = self.batch_size.min(self.samples - start);
        let World { size, rank } = self.world;
        start + batch * rank / size..start + batch * (rank + 1) / size
    }
}

/// Sets the substitutes' stream apart from the permutation's.
const SUBSTITUTES: u64 = 0x5355_4253_5449_5455;
/// The key of the fixed permutation behind [`Part`].
const SPLIT: u64 = 0x5350_4c49_5400_0001;

/// The order of one epoch: position -> sample.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    permutation: Option<Permutation>,
    substitutes: u64,
    samples: u64,
    subset: Option<Subset>,
}

impl EpochOrder {
    /// The sample at `position` (less than the number of samples in this part).
    pub fn sample(&self, position: u64) -> u64 {
        self.member(self.permutation.as_ref().map_or(position, |permutation| permutation.at(position)))
    }

    fn member(&self, index: u64) -> u64 {
        self.subset.as_ref().map_or(index, |subset| subset.sample(index))
    }

    /// The `attempt`-th stand-in for an unusable sample at `position`: a function of the epoch and position alone, so
    /// that a batch with a bad sample is the same for any number of workers.
    pub fn substitute(&self, position: u64, attempt: u32) -> u64 {
        let draw = hash(hash(self.substitutes, position), u64::from(attempt));
        self.member(((u128::from(draw) * u128::from(self.samples)) >> 64) as u64)
    }
}

/// A keyed bijection on `0..n`.
#[derive(Clone, Debug)]
struct Permutation {
    n: u64,
    half_bits: u32,
    round_keys: [u64; ROUNDS],
}

/// Seven rounds of a balanced Feistel network are indistinguishable from a random permutation (Patarin 2004).
const ROUNDS: usize = 7;

impl Permutation {
    fn new(n: u64, key: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let round_keys = std::array::from_fn(|round| hash(key, round as u64));
        Self { n, half_bits: bits.div_ceil(2).max(1), round_keys }
    }

    /// Walks the network's cycle until it is back inside `0..n`: fewer than four steps on average.
    fn at(&self, position: u64) -> u64 {
        debug_assert!(position < self.n);
        let mut x = self.encrypt(position);
        while x >= self.n {
            x = self.encrypt(x);
        }
        x
    }

    fn encrypt(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.round_keys {
            (left, right) = (right, left ^ (hash(key, right) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// The SplitMix64 finaliser (Steele et al. 2014) of two words.
fn hash(key: u64, value: u64) -> u64 {
    let mut x = key ^ value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
