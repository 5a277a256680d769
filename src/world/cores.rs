//! A rank's share of its machine's cores, for the threads that it starts.
//!
//! Where the launcher binds each rank to cores of its own, these are its share; where ranks may use the same cores, each takes its
//! part of them.

use anyhow::{Context, Result};
use simsiam_model::collective::Ranks;

use crate::process::{self, CoreSet};

/// Limits the threads that this rank starts by default to its share. Of ranks that are bound to less than half of their machine, the
/// first warns.
pub(super) fn share_out(ranks: &Ranks, hosts: &[String]) -> Result<()> {
    let (own, allowed) = (CoreSet::of_process(), process::cores());
    let all = ranks.all_gather(&own.0).chunks_exact(own.0.len()).map(CoreSet::from_words).collect::<Vec<_>>();
    let host = &hosts[ranks.rank()];
    let on_host: Vec<_> =
        all.iter().zip(hosts).filter(|(_, other)| *other == host).map(|(set, _)| set).collect();
    process::use_cores(share(&own, allowed, &on_host)).context("the model's threads")?;
    let (used, free) = (CoreSet::union(&on_host).len(), CoreSet::of_parent().len());
    if ranks.is_first() && 2 * used <= free {
        tracing::warn!(
            "the {} ranks on {host} are bound to {used} of {free} cores: `mpirun --bind-to none` lets them use all",
            on_host.len()
        );
    }
    Ok(())
}

/// The cores of `own`, each divided by the ranks of the host that may use it; no more than a part of the `allowed` ones, where a
/// container has less time than cores.
fn share(own: &CoreSet, allowed: usize, on_host: &[&CoreSet]) -> usize {
    let users = |core: usize| on_host.iter().filter(|set| set.has(core)).count();
    let cores: f64 = own.iter().map(|core| 1.0 / users(core) as f64).sum();
    let of_quota = allowed as f64 / on_host.len() as f64;
    let share = if allowed < own.len() || own.is_empty() { of_quota } else { cores };
    // A sum of thirds is a little less than whole.
    ((share + 1e-6) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn set(cores: Range<usize>) -> CoreSet {
        cores.collect()
    }

    fn shares(sets: &[CoreSet], allowed: usize) -> Vec<usize> {
        let all: Vec<_> = sets.iter().collect();
        sets.iter().map(|own| share(own, allowed.min(own.len().max(1)), &all)).collect()
    }

    #[test]
    fn cores_are_divided_among_those_who_may_use_them() {
        let bound = [set(0..1), set(1..2)];
        assert_eq!(shares(&bound, 64), [1, 1]);
        let free = [set(0..16), set(0..16), set(0..16)];
        assert_eq!(shares(&free, 64), [5, 5, 5]);
        let sockets = [set(0..8), set(8..16), set(0..8), set(8..16)];
        assert_eq!(shares(&sockets, 64), [4; 4]);
        assert_eq!(shares(&[set(0..3), set(0..3), set(0..3)], 64), [1; 3]);
        assert_eq!(shares(&[set(0..2), set(0..2), set(0..2)], 64), [1; 3]);
    }

    #[test]
    fn a_containers_quota_is_divided_too() {
        let free = [set(0..64), set(0..64)];
        assert_eq!(shares(&free, 8), [4, 4]);
    }
}
