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
mod tests {
    use super::*;

    fn sampler(samples: u64, batch: usize, world: World) -> Sampler {
        Sampler::new(samples, Part::All, batch, 7, Order::Shuffled, LastBatch::Dropped, world).unwrap()
    }

    #[test]
    fn every_epoch_is_a_permutation() {
        for n in (1..70).chain([255, 256, 257, 1000, 4097]) {
            for epoch in 0..3 {
                let order = sampler(n, 1, World::SINGLE).epoch(epoch);
                let mut seen: Vec<u64> = (0..n).map(|position| order.sample(position)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..n).collect::<Vec<_>>(), "n {n}, epoch {epoch}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_differ_and_positions_are_spread() {
        let n = 10_000;
        let a = sampler(n, 1, World::SINGLE).epoch(0);
        let b = sampler(n, 1, World::SINGLE).epoch(1);
        let same = (0..n).filter(|&p| a.sample(p) == b.sample(p)).count();
        assert!(same < 10, "{same} of {n} positions are alike in two epochs");
        // Neighbours end up a third of the range apart on average, as in a random permutation.
        let gap: f64 = (1..n).map(|p| a.sample(p).abs_diff(a.sample(p - 1)) as f64).sum::<f64>() / n as f64;
        assert!((gap / n as f64 - 1.0 / 3.0).abs() < 0.01, "mean gap {gap}");
    }

    #[test]
    fn a_billion_samples_need_no_table() {
        let order = sampler(1_000_000_000, 256, World::SINGLE).epoch(3);
        let first: Vec<u64> = (0..1000).map(|p| order.sample(p)).collect();
        assert!(first.iter().all(|&s| s < 1_000_000_000));
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), first.len());
    }

    #[test]
    fn ranks_split_the_global_batch() {
        for size in [1, 2, 3, 4, 6, 12] {
            for step in 0..4 {
                let whole: Vec<u64> = sampler(50, 12, World::SINGLE).positions(step).collect();
                let split: Vec<u64> = (0..size)
                    .flat_map(|rank| sampler(50, 12, World { size, rank }).positions(step))
                    .collect();
                assert_eq!(whole, split);
            }
        }
    }

    #[test]
    fn every_split_of_every_batch_is_the_batch() {
        for case in 0..200 {
            let draw =
                |what: u64, range: Range<u64>| range.start + hash(case, what) % (range.end - range.start);
            let (batch, seed) = (draw(0, 1..49), draw(1, 0..u64::MAX));
            let samples = draw(2, batch..batch * 9 + 100);
            let held_out = draw(3, 0..samples - batch + 1);
            let part = [Part::All, Part::Kept { held_out }][(case % 2) as usize];
            let order = [Order::Shuffled, Order::Sequential][(case / 2 % 2) as usize];
            let last_batch = [LastBatch::Dropped, LastBatch::Kept][(case / 4 % 2) as usize];
            let new = |size, rank| {
                let world = World { size, rank };
                Sampler::new(samples, part, batch as usize, seed, order, last_batch, world).unwrap()
            };
            let drawn = |sampler: &Sampler, epoch, step| -> Vec<(u64, u64)> {
                let order = sampler.epoch(epoch);
                sampler.positions(step).map(|at| (order.sample(at), order.substitute(at, 0))).collect()
            };
            let whole = new(1, 0);
            for size in (2..=batch).filter(|&size| batch.is_multiple_of(size)) {
                let ranks: Vec<_> = (0..size).map(|rank| new(size, rank)).collect();
                for (epoch, step) in
                    (0..3).flat_map(|epoch| (0..whole.steps_per_epoch()).map(move |s| (epoch, s)))
                {
                    let joined: Vec<_> = ranks.iter().flat_map(|rank| drawn(rank, epoch, step)).collect();
                    assert_eq!(joined, drawn(&whole, epoch, step), "case {case}, {size} ranks");
                }
            }
        }
    }

    #[test]
    fn remainders_are_dropped_or_kept_and_split() {
        assert_eq!(sampler(50, 12, World::SINGLE).steps_per_epoch(), 4);
        let kept =
            |world| Sampler::new(50, Part::All, 12, 0, Order::Sequential, LastBatch::Kept, world).unwrap();
        let all = kept(World::SINGLE);
        assert_eq!(all.steps_per_epoch(), 5);
        assert_eq!(all.positions(4), 48..50);
        assert_eq!(all.epoch(9).sample(13), 13);
        let shares: Vec<_> = (0..3).map(|rank| kept(World { size: 3, rank }).positions(4)).collect();
        assert_eq!(shares, [48..48, 48..49, 49..50]);
    }

    #[test]
    fn what_is_held_out_is_never_trained_on() {
        let members = |part, order| {
            let sampler = Sampler::new(100, part, 5, 3, order, LastBatch::Kept, World::SINGLE).unwrap();
            let epoch = sampler.epoch(1);
            let mut members: Vec<u64> = (0..part.len(100)).map(|p| epoch.sample(p)).collect();
            members.extend((0..50).map(|p| epoch.substitute(p, 0)));
            members.sort_unstable();
            members.dedup();
            members
        };
        let kept = members(Part::Kept { held_out: 20 }, Order::Shuffled);
        let held_out = members(Part::HeldOut { held_out: 20 }, Order::Sequential);
        assert_eq!((kept.len(), held_out.len()), (80, 20));
        let mut all = [kept, held_out].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn impossible_batches_are_refused() {
        let new = |samples, batch, world| {
            Sampler::new(samples, Part::All, batch, 0, Order::Shuffled, LastBatch::Dropped, world)
        };
        assert!(matches!(new(10, 0, World::SINGLE), Err(ConfigError::EmptyBatch)));
        assert!(matches!(new(10, 11, World::SINGLE), Err(ConfigError::BatchLargerThanData { .. })));
        let world = |size, rank| new(10, 4, World { size, rank }).unwrap_err().to_string();
        assert_eq!(world(3, 0), "3 ranks cannot take equal shares of a batch of 4");
        assert_eq!(world(2, 2), "rank 2 is not one of the 2 ranks, which are numbered from 0");
        assert_eq!(world(0, 0), "the number of ranks is 0");
    }

    #[test]
    fn a_part_without_samples_is_refused() {
        for part in [Part::HeldOut { held_out: 0 }, Part::Kept { held_out: 10 }, Part::Kept { held_out: 11 }]
        {
            for last_batch in [LastBatch::Kept, LastBatch::Dropped] {
                let sampler = Sampler::new(10, part, 4, 0, Order::Sequential, last_batch, World::SINGLE);
                assert_eq!(
                    sampler.unwrap_err().to_string(),
                    "the part of the data to stream holds none of its 10 samples"
                );
            }
        }
    }

    #[test]
    fn every_rank_that_trains_has_an_image_in_every_epoch() {
        let new = |samples, order, size, rank| {
            Sampler::new(samples, Part::All, 8, 0, order, LastBatch::Kept, World { size, rank })
        };
        for samples in 1..20 {
            for size in [1, 2, 4, 8] {
                for rank in 0..size {
                    let evaluates = new(samples, Order::Sequential, size, rank).unwrap();
                    match new(samples, Order::Shuffled, size, rank) {
                        Ok(sampler) => assert!(!sampler.positions(0).is_empty()),
                        Err(ConfigError::MoreRanksThanSamples { .. }) => assert!(samples < size),
                        Err(error) => panic!("{error}"),
                    }
                    // A rank with none of the first batch has none at all.
                    assert!(!evaluates.positions(0).is_empty() || evaluates.steps_per_epoch() == 1);
                }
            }
        }
    }
}
