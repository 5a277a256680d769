//! Which samples make up the batch at (seed, epoch, step, rank): a pure function that stores nothing.
//!
//! An epoch's order is a keyed bijection on `0..n`, so starting or resuming anywhere costs O(1) in time and memory for
//! any number of samples. With windows of shards or a mixture, it costs O(shards) at the start of an epoch. The global
//! batch is drawn first and then split over the ranks, so it depends neither on ranks nor on workers.
//!
//! - `population`: the samples to draw from; `sample_set`: a subset of them, in little memory.
//! - `order`: position -> sample, and when an epoch needs which shards.
//! - `permutation`, `shard_group`, `turns`, `mixture`: the parts of an order.

mod mixture;
mod order;
mod permutation;
mod population;
mod sample_set;
mod shard_group;
mod turns;

pub use mixture::{Mixture, MixtureError, MixtureSet};
pub use order::{EpochOrder, ShardUse};
pub use population::{Part, Population};
pub use sample_set::SampleSet;
pub(crate) use turns::Turns;

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::population::Members;
use self::shard_group::ShardGroup;
use crate::error::ConfigError;

/// Draws the global order of every epoch and divides it into batches.
#[derive(Clone, Debug)]
pub struct Sampler {
    samples: u64,
    batch_size: u64,
    seed: u64,
    order: Order,
    last_batch: LastBatch,
    world: World,
    /// Batches of a group.
    group: u64,
    population: Population,
    members: Arc<Members>,
    /// What windows are made of, or sets: all shards, or those of each set. None where neither matters.
    groups: Vec<Arc<ShardGroup>>,
}

/// The order in which an epoch visits the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A new permutation each epoch. An unusable sample is replaced by another.
    #[default]
    Shuffled,
    /// A new order of the shards each epoch, divided into windows, and a new permutation of each window's samples: for
    /// data of which only some shards can be cached at a time. A window that holds all shards equals
    /// [`Shuffled`](Self::Shuffled). Each set of a mixture has its own windows. An unusable sample is replaced by
    /// another of its window.
    Windows {
        /// Shards per window, at least 1.
        shards: usize,
    },
    /// The order of the shards, for evaluation. Each sample of a mixture comes once. An unusable sample is left out.
    Sequential,
}

/// What happens to the last samples of an epoch that do not fill a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastBatch {
    /// They are left out.
    #[default]
    Dropped,
    /// They make a smaller batch, split over the ranks as evenly as possible.
    Kept,
}

/// This process's place among the ranks that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Number of ranks; it divides the global batch.
    pub size: u64,
    /// This process's rank, `0..size`.
    pub rank: u64,
}

impl World {
    /// One process alone.
    pub const SINGLE: World = World { size: 1, rank: 0 };
}

impl Sampler {
    /// A sampler for a part of `population` with a *global* batch of `batch_size`.
    ///
    /// # Errors
    /// If the part, the batch or the window is empty; if the batch is larger than the part (and smaller batches are
    /// dropped) or not a multiple of the number of ranks; if the rank is out of range; if the order is shuffled and
    /// there are more ranks than samples; if the choice is for another number of samples; or if a set of the mixture
    /// has no sample.
    pub fn new(
        population: &Population,
        part: Part,
        batch_size: usize,
        seed: u64,
        order: Order,
        last_batch: LastBatch,
        world: World,
    ) -> Result<Self, ConfigError> {
        let (samples, batch) = (part.len(population.len()), batch_size as u64);
        if batch == 0 {
            return Err(ConfigError::EmptyBatch);
        }
        if let Some(chosen) = population.chosen.as_ref().filter(|chosen| chosen.of() != population.samples())
        {
            return Err(ConfigError::ChosenOfOthers { of: chosen.of(), samples: population.samples() });
        }
        if samples == 0 {
            return Err(ConfigError::EmptyPart { samples: population.len() });
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
        if order != Order::Sequential && samples < size {
            return Err(ConfigError::MoreRanksThanSamples { samples, size });
        }
        if order == (Order::Windows { shards: 0 }) {
            return Err(ConfigError::EmptyWindow);
        }
        let (members, groups) = in_use(population, part, order)?;
        let (members, population) = (Arc::new(members), population.clone());
        let batch_size = batch;
        Ok(Self {
            samples,
            batch_size,
            seed,
            order,
            last_batch,
            world,
            group: 1,
            population,
            members,
            groups,
        })
    }

    /// Ends epochs with a whole group of `batches` batches, at least 1 (0 means 1). Batches outside whole groups are
    /// left out.
    ///
    /// # Errors
    /// If an epoch has fewer batches than a group.
    pub fn in_groups_of(self, batches: u64) -> Result<Self, ConfigError> {
        let (group, all) = (batches.max(1), self.batches_per_epoch());
        if group > all {
            return Err(ConfigError::GroupLargerThanEpoch { group, batches: all });
        }
        Ok(Self { group, ..self })
    }

    /// Batches in one epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.batches_per_epoch() / self.group * self.group
    }

    /// Batches that an epoch's samples make.
    fn batches_per_epoch(&self) -> u64 {
        match self.last_batch {
            LastBatch::Dropped => self.samples / self.batch_size,
            LastBatch::Kept => self.samples.div_ceil(self.batch_size),
        }
    }

    /// Images that an epoch delivers over all ranks, where none is left out.
    fn samples_per_epoch(&self) -> u64 {
        match self.last_batch {
            LastBatch::Dropped => self.steps_per_epoch() * self.batch_size,
            LastBatch::Kept => self.samples,
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

/// The samples in use, and the groups of shards that this order tells apart.
fn in_use(
    population: &Population,
    part: Part,
    order: Order,
) -> Result<(Members, Vec<Arc<ShardGroup>>), ConfigError> {
    let members = Members::new(population, part);
    let mixture = population.mixture.as_ref().filter(|_| order != Order::Sequential);
    if mixture.is_none() && !matches!(order, Order::Windows { .. }) {
        return Ok((members, Vec::new()));
    }
    let members = members.numbered();
    let bounds: Vec<u64> = population.first_samples.iter().map(|&first| members.before(first)).collect();
    let Some(mixture) = mixture else {
        return Ok((members, vec![Arc::new(ShardGroup::new(&bounds, |_| true))]));
    };
    let groups = mixture.groups(&bounds)?;
    Ok((members, groups))
}

#[cfg(test)]
mod tests;
