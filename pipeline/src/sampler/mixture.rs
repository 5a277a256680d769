//! Sets of shards that an epoch draws from in given proportions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::shard_group::ShardGroup;
use super::turns::Turns;

/// A set of shards with its own weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureSet {
    /// Its name in errors.
    pub name: String,
    /// Its share of the samples drawn, relative to the other sets' weights.
    pub weight: f64,
}

/// The proportions in which an epoch draws from sets of shards. Clones share them.
///
/// Every prefix of an epoch has the weights' proportions to within one sample per set. Weights are rounded to fractions
/// with a common denominator of at most 65,536, so 0.7 and 0.3, or 2 and 1, are exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    sets: Arc<[MixtureSet]>,
    set_of_shard: Arc<[usize]>,
    cycle: Arc<Cycle>,
}

/// Why sets cannot be mixed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MixtureError {
    /// There is nothing to mix.
    #[error("a mixture needs at least one set")]
    NoSets,
    /// No share can be made of the weight.
    #[error(
        "the weight of {name} is {weight}, but weights are numbers greater than 0; leave a set out that is not to be drawn from"
    )]
    Weight {
        /// The set.
        name: String,
        /// Its weight.
        weight: f64,
    },
    /// The weight's share is too small.
    #[error("the weight {weight} of {name} is less than 1/{least} of all weights together", least = Mixture::LEAST_SHARE)]
    SmallWeight {
        /// The set.
        name: String,
        /// Its weight.
        weight: f64,
    },
    /// The mixture was made for another number of shards.
    #[error("{shards} shards cannot be mixed by the sets of {of}")]
    Shards {
        /// Shards in the data.
        shards: usize,
        /// Shards whose sets are known.
        of: usize,
    },
    /// A shard's set does not exist.
    #[error("shard {shard} is in set {set} of {sets}, which are numbered from 0")]
    NoSuchSet {
        /// The shard's number.
        shard: usize,
        /// The set's number.
        set: usize,
        /// Number of sets.
        sets: usize,
    },
    /// A set has no samples.
    #[error("{name} has no sample to draw, so its weight cannot be kept")]
    EmptySet {
        /// The set.
        name: String,
    },
}

impl Mixture {
    /// The smallest share of a set is one in this many samples.
    pub const LEAST_SHARE: u64 = Cycle::LONGEST / 2;

    /// The mixture of `sets`; shard `i` is in the set `set_of_shard[i]`.
    ///
    /// # Errors
    /// If there is no set, a weight is not a number greater than 0 or is too small, or a shard is in no set.
    pub fn new(sets: Vec<MixtureSet>, set_of_shard: Vec<usize>) -> Result<Self, MixtureError> {
        if sets.is_empty() {
            return Err(MixtureError::NoSets);
        }
        let is_weight = |weight: f64| weight.is_finite() && weight > 0.0;
        if let Some(MixtureSet { name, weight }) = sets.iter().find(|set| !is_weight(set.weight)) {
            return Err(MixtureError::Weight { name: name.clone(), weight: *weight });
        }
        let total: f64 = sets.iter().map(|set| set.weight).sum();
        let is_small = |set: &&MixtureSet| set.weight / total < 1.0 / Self::LEAST_SHARE as f64;
        if let Some(MixtureSet { name, weight }) = sets.iter().find(is_small) {
            return Err(MixtureError::SmallWeight { name: name.clone(), weight: *weight });
        }
        if let Some(shard) = set_of_shard.iter().position(|&set| set >= sets.len()) {
            let set = set_of_shard[shard];
            return Err(MixtureError::NoSuchSet { shard, set, sets: sets.len() });
        }
        let shares: Vec<f64> = sets.iter().map(|set| set.weight / total).collect();
        let cycle = Arc::new(Cycle::new(&shares));
        Ok(Self { sets: sets.into(), set_of_shard: set_of_shard.into(), cycle })
    }

    /// The sets, by number.
    pub fn sets(&self) -> &[MixtureSet] {
        &self.sets
    }

    /// Numbers that only this mixture has, whatever its sets are called.
    pub(super) fn words(&self) -> Vec<u64> {
        let weights = self.sets.iter().map(|set| set.weight.to_bits());
        weights.chain(self.set_of_shard.iter().map(|&set| set as u64)).collect()
    }

    /// The shards of each set, by the [bounds](ShardGroup::new) of their members.
    pub(super) fn groups(&self, bounds: &[u64]) -> Result<Vec<Arc<ShardGroup>>, MixtureError> {
        let (shards, of) = (bounds.len() - 1, self.set_of_shard.len());
        if shards != of {
            return Err(MixtureError::Shards { shards, of });
        }
        let group = |(number, set): (usize, &MixtureSet)| {
            let group = ShardGroup::new(bounds, |shard| self.set_of_shard[shard] == number);
            if group.len() == 0 {
                return Err(MixtureError::EmptySet { name: set.name.clone() });
            }
            Ok(Arc::new(group))
        };
        self.sets.iter().enumerate().map(group).collect()
    }

    /// The turns of the sets.
    pub(super) fn cycle(&self) -> &Arc<Cycle> {
        &self.cycle
    }
}

/// Whose turn it is at a position: the same again after each cycle, in which every set has exactly its share.
#[derive(Debug, PartialEq)]
pub(super) struct Cycle {
    /// The set at each position.
    sets: Box<[u16]>,
    /// The positions of each set.
    positions: Vec<Box<[u32]>>,
}

impl Cycle {
    /// Most positions. A position takes six bytes.
    const LONGEST: u64 = 1 << 16;

    /// Of these shares of 1, none less than two in the longest cycle.
    fn new(shares: &[f64]) -> Self {
        let sets: Box<[u16]> = {
            let turns = nearest_fractions(shares, Self::LONGEST);
            let cycle = turns.iter().sum::<u64>() as usize;
            Turns::new(turns).take(cycle).map(|set| set as u16).collect()
        };
        let mut positions = vec![Vec::new(); shares.len()];
        for (position, &set) in sets.iter().enumerate() {
            positions[usize::from(set)].push(position as u32);
        }
        Self { sets, positions: positions.into_iter().map(Vec::into_boxed_slice).collect() }
    }

    fn len(&self) -> u64 {
        self.sets.len() as u64
    }

    /// The set that is drawn from at a position, and how often it was before.
    pub(super) fn turn(&self, position: u64) -> (usize, u64) {
        let set = usize::from(self.sets[(position % self.len()) as usize]);
        (set, self.turns_before(set, position))
    }

    /// How often a set is drawn from before a position.
    pub(super) fn turns_before(&self, set: usize, position: u64) -> u64 {
        let (cycles, rest) = (position / self.len(), position % self.len());
        let positions = &self.positions[set];
        let in_rest = positions.partition_point(|&position| u64::from(position) < rest);
        cycles * positions.len() as u64 + in_rest as u64
    }

    /// The position at which a set is drawn from for the `turn`-th time, counted from 0.
    pub(super) fn position(&self, set: usize, turn: u64) -> u64 {
        let positions = &self.positions[set];
        let turns = positions.len() as u64;
        turn / turns * self.len() + u64::from(positions[(turn % turns) as usize])
    }
}

/// The numerators of fractions near `shares`, which are 1 together; their sum is the denominator, of at most `largest`.
fn nearest_fractions(shares: &[f64], largest: u64) -> Vec<u64> {
    /// What the shares' own rounding is worth.
    const EXACT: f64 = 1e-12;
    let numerators = |denominator: u64| {
        let (mut total, mut before) = (0.0, 0);
        shares.iter().map(move |share| {
            total += share;
            let until = (total * denominator as f64).round() as u64;
            let numerator = until - before;
            before = until;
            numerator
        })
    };
    let error = |denominator: u64| {
        let fractions = numerators(denominator).map(|numerator| numerator as f64 / denominator as f64);
        fractions.zip(shares).map(|(fraction, share)| (fraction - share).abs()).fold(0.0, f64::max)
    };
    let (mut best, mut least) = (largest, f64::INFINITY);
    for denominator in shares.len() as u64..=largest {
        let error = error(denominator);
        if error < least && numerators(denominator).all(|numerator| numerator > 0) {
            (best, least) = (denominator, error);
        }
        if least < EXACT {
            break;
        }
    }
    numerators(best).collect()
}
