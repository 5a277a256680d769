//! Fetches remote shards ahead, and checks that the cache has room for those that an order needs.

use std::collections::HashSet;

use super::ShardSet;
use super::shard::Shard;
use crate::error::ConfigError;
use crate::sampler::{Order, ShardUse};

impl ShardSet {
    /// Whether some shards are fetched before they are read. Threads that fetch live as long as the set.
    pub fn is_remote(&self) -> bool {
        self.shards.iter().any(Shard::is_remote)
    }

    /// Fetches the remote shards of `uses` that are needed at a position or behind it, the first ones first, as many as the cache has
    /// room for, and lets go of the others. Returns at once; those that are kept, and all that are not remote.
    pub(crate) fn keep_near(&self, uses: &[ShardUse], position: u64) -> HashSet<usize> {
        let mut room = self.cache_size;
        let mut kept: HashSet<usize> = self.local_shards().collect();
        let mut in_order = Vec::new();
        for ShardUse { shard, .. } in uses.iter().filter(|shard| shard.positions.end > position) {
            let Some(remote) = self.shards.get(*shard).filter(|shard| shard.is_remote()) else { continue };
            if !kept.contains(shard) {
                let Some(rest) = room.checked_sub(remote.cached_bytes()) else { break };
                room = rest;
                kept.insert(*shard);
                in_order.push(remote);
            }
        }
        let others = self.shards.iter().enumerate().filter(|(number, _)| !kept.contains(number));
        others.for_each(|(_, shard)| shard.let_go());
        in_order.into_iter().for_each(Shard::bring_near);
        kept
    }

    fn local_shards(&self) -> impl Iterator<Item = usize> {
        self.shards.iter().enumerate().filter(|(_, shard)| !shard.is_remote()).map(|(number, _)| number)
    }

    /// Refuses an order that needs more remote shards at a time than the cache has room for.
    pub(crate) fn check_room(&self, order: Order) -> Result<(), ConfigError> {
        let mut sizes: Vec<u64> =
            self.shards.iter().filter(|shard| shard.is_remote()).map(Shard::cached_bytes).collect();
        sizes.sort_unstable_by(|one, another| another.cmp(one));
        let most = match order {
            Order::Shuffled => sizes.len(),
            Order::Windows { shards } => {
                shards.saturating_mul(self.mixture.as_ref().map_or(1, |mixture| mixture.sets().len()))
            }
            Order::Sequential => 1,
        };
        let (shards, needed) = (most.min(sizes.len()), sizes.iter().take(most).sum());
        if needed > self.cache_size {
            return Err(ConfigError::CacheTooSmall { shards, needed, limit: self.cache_size });
        }
        Ok(())
    }
}
