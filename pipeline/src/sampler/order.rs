//! The order of one epoch: position -> sample.

use std::ops::Range;
use std::sync::Arc;

use super::mixture::{Cycle, Mixture};
use super::permutation::{Permutation, hash, scaled};
use super::population::{Members, Population};
use super::shard_group::{ShardGroup, Windows};
use super::{Order, Sampler};

/// The order of one epoch. Clones share it.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    samples: u64,
    substitutes: u64,
    population: Population,
    members: Arc<Members>,
    walk: Walk,
}

/// How an epoch goes through the samples in use.
#[derive(Clone, Debug)]
enum Walk {
    /// As the split draws them.
    Sequential,
    Shuffled(Permutation),
    Windows(Arc<Windows>),
    Mixed {
        cycle: Arc<Cycle>,
        sets: Arc<[MixedSet]>,
    },
}

/// The draws from a set of a mixture: pass after pass over its samples, on through all epochs.
#[derive(Debug)]
struct MixedSet {
    group: Arc<ShardGroup>,
    key: u64,
    /// Draws in earlier epochs.
    before: u64,
    first_pass: u64,
    /// The passes of this epoch, where a window does not hold the whole set.
    passes: Vec<Windows>,
}

/// A shard that an epoch needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardUse {
    /// Its number.
    pub shard: usize,
    /// The positions that may draw from it. It is not needed before the first or after the last of them.
    pub positions: Range<u64>,
}

/// Sets the substitutes' stream apart from the permutation's.
const SUBSTITUTES: u64 = 0x5355_4253_5449_5455;
/// Sets the sets' keys apart from the epochs'.
const SETS: u64 = 0x5345_5453_0000_0001;

impl Sampler {
    /// The order of one epoch.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        let key = hash(self.seed, epoch);
        let walk = match (&self.population.mixture, self.order) {
            (_, Order::Sequential) => Walk::Sequential,
            (Some(mixture), _) => self.mixed(mixture, epoch),
            (None, Order::Shuffled) => Walk::Shuffled(Permutation::new(self.samples, key)),
            (None, Order::Windows { shards }) => match Windows::new(&self.groups[0], shards, key) {
                Some(windows) => Walk::Windows(Arc::new(windows)),
                None => Walk::Shuffled(Permutation::new(self.samples, key)),
            },
        };
        EpochOrder {
            samples: self.samples,
            substitutes: hash(key, SUBSTITUTES),
            population: self.population.clone(),
            members: self.members.clone(),
            walk,
        }
    }

    fn mixed(&self, mixture: &Mixture, epoch: u64) -> Walk {
        let cycle = mixture.cycle();
        let shards = match self.order {
            Order::Windows { shards } => shards,
            Order::Shuffled | Order::Sequential => usize::MAX,
        };
        let set = |(number, group): (usize, &Arc<ShardGroup>)| {
            let before = epoch * cycle.turns_before(number, self.samples_per_epoch());
            let after = before + cycle.turns_before(number, self.samples);
            let key = hash(hash(self.seed, SETS), number as u64);
            let (first_pass, end_pass) = (before / group.len(), after.div_ceil(group.len()));
            let passes =
                (first_pass..end_pass).map_while(|pass| Windows::new(group, shards, hash(key, pass)));
            MixedSet { group: group.clone(), key, before, first_pass, passes: passes.collect() }
        };
        Walk::Mixed { cycle: cycle.clone(), sets: self.groups.iter().enumerate().map(set).collect() }
    }
}

impl EpochOrder {
    /// The sample at `position` (less than the number of samples in use).
    pub fn sample(&self, position: u64) -> u64 {
        match &self.walk {
            Walk::Sequential => self.members.drawn(position),
            Walk::Shuffled(permutation) => self.members.drawn(permutation.at(position)),
            Walk::Windows(windows) => self.members.nth(windows.member(position)),
            Walk::Mixed { cycle, sets } => {
                let (set, turn) = cycle.turn(position);
                self.members.nth(sets[set].member(turn))
            }
        }
    }

    /// The `attempt`-th replacement for an unusable sample at `position`, from the same window and set. It depends only
    /// on epoch and position, so a batch with a bad sample is the same for any number of workers.
    pub fn substitute(&self, position: u64, attempt: u32) -> u64 {
        let draw = hash(hash(self.substitutes, position), u64::from(attempt));
        match &self.walk {
            Walk::Sequential | Walk::Shuffled(_) => self.members.drawn(scaled(draw, self.samples)),
            Walk::Windows(windows) => self.members.nth(windows.substitute(position, draw)),
            Walk::Mixed { cycle, sets } => {
                let (set, turn) = cycle.turn(position);
                self.members.nth(sets[set].substitute(turn, draw))
            }
        }
    }

    /// The shards that are needed at `position` or later, in the order of their first use: what to fetch next, and how
    /// long to keep it. A shard of a mixture appears once for each time that it is needed. Costs O(shards).
    pub fn shards_ahead(&self, position: u64) -> Vec<ShardUse> {
        let mut uses: Vec<ShardUse> = match &self.walk {
            Walk::Windows(windows) => uses_of(windows).collect(),
            Walk::Mixed { cycle, sets } => {
                let uses = |(number, set): (usize, &MixedSet)| set.uses(cycle, number, self.samples);
                sets.iter().enumerate().flat_map(uses).collect()
            }
            Walk::Sequential if self.members.is_in_order() => self.chosen_shards(|chosen| chosen),
            Walk::Sequential | Walk::Shuffled(_) => self.chosen_shards(|_| 0..self.samples),
        };
        uses.retain(|used| used.positions.end > position);
        uses.sort_by_key(|used| used.positions.start);
        uses
    }

    /// Shards with samples that are chosen, and the positions `used` for them.
    fn chosen_shards(&self, used: impl Fn(Range<u64>) -> Range<u64>) -> Vec<ShardUse> {
        let bounds = self.population.bounds();
        let chosen = bounds.windows(2).map(|bounds| bounds[0]..bounds[1]).enumerate();
        let with_samples = chosen.filter(|(_, chosen)| !chosen.is_empty());
        with_samples.map(|(shard, chosen)| ShardUse { shard, positions: used(chosen) }).collect()
    }
}

impl MixedSet {
    /// The pass in which this epoch's draw is, and the place there.
    fn place(&self, turn: u64) -> (u64, u64) {
        let draw = self.before + turn;
        (draw / self.group.len(), draw % self.group.len())
    }

    fn windows(&self, pass: u64) -> Option<&Windows> {
        self.passes.get((pass - self.first_pass) as usize)
    }

    fn member(&self, turn: u64) -> u64 {
        let (pass, place) = self.place(turn);
        match self.windows(pass) {
            Some(windows) => windows.member(place),
            None => {
                let shuffled = Permutation::new(self.group.len(), hash(self.key, pass));
                self.group.member(shuffled.at(place))
            }
        }
    }

    fn substitute(&self, turn: u64, draw: u64) -> u64 {
        let (pass, place) = self.place(turn);
        match self.windows(pass) {
            Some(windows) => windows.substitute(place, draw),
            None => self.group.member(scaled(draw, self.group.len())),
        }
    }

    /// When set `number` of a mixture needs its shards in an epoch of so many positions.
    fn uses(&self, cycle: &Cycle, number: usize, positions: u64) -> Vec<ShardUse> {
        let turns = cycle.turns_before(number, positions);
        // Of draws that are counted over all epochs, those in this one.
        let in_epoch = |draws: Range<u64>| {
            let first = draws.start.saturating_sub(self.before);
            let last = draws.end.saturating_sub(self.before).min(turns).checked_sub(1)?;
            (first <= last).then(|| cycle.position(number, first)..cycle.position(number, last) + 1)
        };
        if self.passes.is_empty() {
            let positions = in_epoch(self.before..self.before + turns);
            let uses = |&shard| Some(ShardUse { shard, positions: positions.clone()? });
            return self.group.shards().iter().filter_map(uses).collect();
        }
        let passes = (self.first_pass..).zip(&self.passes);
        let all = passes.flat_map(|(pass, windows)| {
            let first = pass * self.group.len();
            uses_of(windows).map(move |ShardUse { shard, positions }| {
                (shard, first + positions.start..first + positions.end)
            })
        });
        all.filter_map(|(shard, draws)| Some(ShardUse { shard, positions: in_epoch(draws)? })).collect()
    }
}

/// When a pass needs its shards, by its own positions.
fn uses_of(windows: &Windows) -> impl Iterator<Item = ShardUse> {
    windows.spans().flat_map(|span| {
        let positions = span.positions.clone();
        windows.shards(&span).map(move |shard| ShardUse { shard, positions: positions.clone() })
    })
}
