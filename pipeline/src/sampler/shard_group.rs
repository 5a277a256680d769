//! Groups of shards that samples are drawn from together, and windows of them.

use std::ops::Range;
use std::sync::Arc;

use super::permutation::{Permutation, hash, scaled};

/// All shards, or those of a set of a mixture, with a sample in use. A *member* is a sample in use, numbered among all such.
#[derive(Debug)]
pub(super) struct ShardGroup {
    shards: Box<[usize]>,
    /// Of each shard.
    first_members: Box<[u64]>,
    /// Members of this group before each shard; one more entry holds the total.
    starts: Box<[u64]>,
}

impl ShardGroup {
    /// Of the shards for which `is_in` holds; those of shard `i` are the members `bounds[i]..bounds[i + 1]`.
    pub(super) fn new(bounds: &[u64], is_in: impl Fn(usize) -> bool) -> Self {
        let has_members = |&shard: &usize| bounds[shard] < bounds[shard + 1];
        let shards: Box<[usize]> =
            (0..bounds.len() - 1).filter(|&shard| is_in(shard)).filter(has_members).collect();
        let starts = running_total(shards.iter().map(|&shard| bounds[shard + 1] - bounds[shard]));
        let first_members = shards.iter().map(|&shard| bounds[shard]).collect();
        Self { shards, first_members, starts }
    }

    /// Number of its members.
    pub(super) fn len(&self) -> u64 {
        self.starts[self.shards.len()]
    }

    /// The shards, in order.
    pub(super) fn shards(&self) -> &[usize] {
        &self.shards
    }

    /// The members of one of its shards.
    fn members(&self, place: usize) -> u64 {
        self.starts[place + 1] - self.starts[place]
    }

    /// Its `i`-th member.
    pub(super) fn member(&self, i: u64) -> u64 {
        let place = place_in(&self.starts, i);
        self.first_members[place] + (i - self.starts[place])
    }
}

/// One pass over a group: its shards in a random order, cut into windows, and the members of each window in a random order.
///
/// The windows have the same number of shards, or one less, so that the last is not left with a few.
#[derive(Debug)]
pub(super) struct Windows {
    group: Arc<ShardGroup>,
    key: u64,
    windows: usize,
    /// Places in the group, in this pass's order.
    order: Box<[usize]>,
    /// Positions before each shard in that order; one more entry holds the total.
    starts: Box<[u64]>,
}

/// Shards of a window, and the positions that they fill.
pub(super) struct Span<'a> {
    places: &'a [usize],
    pub(super) positions: Range<u64>,
}

impl Windows {
    /// Windows of at most `shards` shards; `None` if one holds the whole group.
    pub(super) fn new(group: &Arc<ShardGroup>, shards: usize, key: u64) -> Option<Self> {
        let all = group.shards.len();
        if all <= shards {
            return None;
        }
        let permutation = Permutation::new(all as u64, hash(key, SHARDS));
        let order: Box<[usize]> = (0..all as u64).map(|i| permutation.at(i) as usize).collect();
        let starts = running_total(order.iter().map(|&place| group.members(place)));
        Some(Self { group: group.clone(), key, windows: all.div_ceil(shards), order, starts })
    }

    /// The member at a position.
    pub(super) fn member(&self, position: u64) -> u64 {
        let window = self.window_at(position);
        let Range { start, end } = self.span(window).positions;
        let shuffled = Permutation::new(end - start, hash(self.key, window as u64));
        self.in_order(start + shuffled.at(position - start))
    }

    /// A member of the window at a position, by a `draw` from all of `u64`.
    pub(super) fn substitute(&self, position: u64, draw: u64) -> u64 {
        let Range { start, end } = self.span(self.window_at(position)).positions;
        self.in_order(start + scaled(draw, end - start))
    }

    /// The windows, one after the other.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        (0..self.windows).map(|window| self.span(window))
    }

    /// The shards of one of its windows.
    pub(super) fn shards<'a>(&'a self, span: &Span<'a>) -> impl Iterator<Item = usize> + use<'a> {
        span.places.iter().map(|&place| self.group.shards[place])
    }

    fn window_at(&self, position: u64) -> usize {
        ((place_in(&self.starts, position) + 1) * self.windows - 1) / self.order.len()
    }

    fn span(&self, window: usize) -> Span<'_> {
        let first = |window| self.order.len() * window / self.windows;
        let places = first(window)..first(window + 1);
        let positions = self.starts[places.start]..self.starts[places.end];
        Span { places: &self.order[places], positions }
    }

    /// The `i`-th member as the shards follow each other.
    fn in_order(&self, i: u64) -> u64 {
        let place = place_in(&self.starts, i);
        self.group.first_members[self.order[place]] + (i - self.starts[place])
    }
}

/// Sets the order of the shards apart from the orders in the windows.
const SHARDS: u64 = 0x5348_4152_4453_0001;

fn running_total(counts: impl Iterator<Item = u64>) -> Box<[u64]> {
    let totals = counts.scan(0, |total, count| {
        *total += count;
        Some(*total)
    });
    std::iter::once(0).chain(totals).collect()
}

/// The last place whose start is not behind `i`.
fn place_in(starts: &[u64], i: u64) -> usize {
    starts.partition_point(|&start| start <= i) - 1
}
