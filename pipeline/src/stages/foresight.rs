//! Which remote shards to fetch before they are needed, and which to let go.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::sampler::{Sampler, ShardUse};
use crate::shards::ShardSet;

/// Follows the read stage through the epochs.
pub(crate) struct Foresight {
    sampler: Sampler,
    /// The epoch that is not read any more.
    end: u64,
    epoch: Option<u64>,
    /// What this epoch and the next one need, in positions of this one.
    uses: Vec<ShardUse>,
    /// The shards that the cache has room for now.
    kept: HashSet<usize>,
    /// Where something else is needed than at the last position.
    change: u64,
}

impl Foresight {
    pub(crate) fn new(sampler: Sampler, end: u64) -> Foresight {
        Foresight { sampler, end, epoch: None, uses: Vec::new(), kept: HashSet::new(), change: 0 }
    }

    /// Everything before this position is read: lets go of what is not needed any more, and fetches ahead.
    pub(crate) fn at(&mut self, epoch: u64, position: u64, shards: &ShardSet) {
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            self.uses = self.uses_from(epoch, position);
            self.change = position;
        }
        if position >= self.change {
            self.kept = shards.keep_near(&self.uses, position);
            let begins = self.uses.iter().map(|shard| shard.positions.start);
            self.change = begins.filter(|&begin| begin > position).min().unwrap_or(u64::MAX);
        }
    }

    /// Whether these positions can be read before those that are being read are done: their shards are kept beside the others.
    pub(crate) fn is_near(&self, epoch: u64, positions: RangeInclusive<u64>) -> bool {
        let is_needed = |shard: &&ShardUse| {
            shard.positions.start <= *positions.end() && shard.positions.end > *positions.start()
        };
        self.epoch == Some(epoch)
            && self.uses.iter().filter(is_needed).all(|needed| self.kept.contains(&needed.shard))
    }

    fn uses_from(&self, epoch: u64, position: u64) -> Vec<ShardUse> {
        let mut uses = self.sampler.epoch(epoch).shards_ahead(position);
        if epoch + 1 < self.end {
            let after = uses.iter().map(|shard| shard.positions.end).max().unwrap_or(position);
            let next = self.sampler.epoch(epoch + 1).shards_ahead(0);
            uses.extend(next.into_iter().map(|ShardUse { shard, positions }| ShardUse {
                shard,
                positions: after + positions.start..after + positions.end,
            }));
        }
        uses
    }
}
