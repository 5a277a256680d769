//! Counts over a part of the samples, which are merged into the total.

use std::collections::BTreeMap;

use super::{Found, LookedAt, Report, Spread, UnusableSample};
use crate::shards::{FindingKind, ShardSet};

/// What some samples hold. Its size depends on how many different values there are, not on how many samples.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) samples: u64,
    pub(super) bad: Vec<UnusableSample>,
    image_bytes: u64,
    formats: BTreeMap<String, u64>,
    widths: BTreeMap<u32, u64>,
    heights: BTreeMap<u32, u64>,
    shorter_sides: BTreeMap<u32, u64>,
    unlabelled: u64,
    labels: BTreeMap<u32, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, set: &ShardSet, sample: u64, looked_at: LookedAt) {
        self.samples += 1;
        match set.label(sample) {
            Some(label) => *self.labels.entry(label).or_default() += 1,
            None => self.unlabelled += 1,
        }
        match looked_at {
            Ok((info, bytes)) => {
                self.image_bytes += bytes;
                *self.formats.entry(info.format.to_string()).or_default() += 1;
                *self.widths.entry(info.width).or_default() += 1;
                *self.heights.entry(info.height).or_default() += 1;
                let bound = info.width.min(info.height).checked_next_power_of_two().unwrap_or(u32::MAX);
                *self.shorter_sides.entry(bound).or_default() += 1;
            }
            Err(cause) => {
                self.bad.push(UnusableSample { sample, at: set.locate(sample).into_owned(), cause })
            }
        }
    }

    pub(super) fn merge(&mut self, other: Tally) {
        self.samples += other.samples;
        self.bad.extend(other.bad);
        self.image_bytes += other.image_bytes;
        self.unlabelled += other.unlabelled;
        add_counts(&mut self.formats, other.formats);
        add_counts(&mut self.widths, other.widths);
        add_counts(&mut self.heights, other.heights);
        add_counts(&mut self.shorter_sides, other.shorter_sides);
        add_counts(&mut self.labels, other.labels);
    }

    pub(super) fn into_report(mut self, set: &ShardSet, verified: bool) -> Report {
        self.bad.sort_by_key(|bad| bad.sample);
        Report {
            shards: set.shards().len() as u64,
            samples: self.samples,
            shard_bytes: set.shards().map(|shard| shard.bytes()).sum(),
            image_bytes: self.image_bytes,
            formats: self.formats,
            width: spread(&self.widths),
            height: spread(&self.heights),
            shorter_side: self.shorter_sides,
            unlabelled: self.unlabelled,
            labels: self.labels,
            class_names: set.class_names().map(<[String]>::to_vec),
            verified,
            bad: self.bad,
            found: found(set),
            notes: set.notes(),
            broken_shards: Vec::new(),
        }
    }
}

/// What indexing found, by kind.
fn found(set: &ShardSet) -> Vec<Found> {
    let mut found: BTreeMap<FindingKind, Found> = BTreeMap::new();
    let new = |kind: FindingKind| Found {
        kind,
        description: kind.to_string(),
        advice: kind.advice(),
        count: 0,
        list: Vec::new(),
    };
    for shard in set.shards() {
        for (kind, count) in shard.finding_counts() {
            found.entry(kind).or_insert_with(|| new(kind)).count += count;
        }
        for finding in shard.findings() {
            let kind = finding.kind;
            found.entry(kind).or_insert_with(|| new(kind)).list.push(finding.into_owned());
        }
    }
    found.into_values().collect()
}

fn add_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (value, count) in more {
        *counts.entry(value).or_default() += count;
    }
}

/// From how often each value occurs.
fn spread(counts: &BTreeMap<u32, u64>) -> Option<Spread> {
    let middle = counts.values().sum::<u64>().div_ceil(2);
    let mut seen = 0;
    let median = counts.iter().find_map(|(&value, &count)| {
        seen += count;
        (seen >= middle).then_some(value)
    })?;
    let (min, max) = (*counts.first_key_value()?.0, *counts.last_key_value()?.0);
    Some(Spread { min, median, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_median_of_counts() {
        let spread_of = |values: &[u32]| {
            let mut counts = BTreeMap::new();
            values.iter().for_each(|&value| *counts.entry(value).or_default() += 1);
            spread(&counts).map(|Spread { min, median, max }| (min, median, max))
        };
        assert_eq!(spread_of(&[]), None);
        assert_eq!(spread_of(&[5]), Some((5, 5, 5)));
        assert_eq!(spread_of(&[4, 1, 3, 2]), Some((1, 2, 4)));
        assert_eq!(spread_of(&[9, 9, 9, 1, 1]), Some((1, 9, 9)));
    }
}
