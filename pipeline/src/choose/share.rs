//! Selects a fraction of each class, or a number of samples.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Catalog;
use crate::sampler::Turns;

/// The seed of the hashes that samples are drawn by. It never changes: neither does what a fraction is.
const SEED: u64 = 0x4348_4f49_4345_0001;

/// Samples by class, each class in the order in which it is drawn: that of a hash of the keys, so that it does not depend on where a
/// sample is.
pub(super) struct Classes(Vec<Vec<u64>>);

impl Classes {
    pub(super) fn new(samples: &[u64], catalog: &impl Catalog) -> Self {
        let mut classes: BTreeMap<Option<u32>, Vec<(u64, u64)>> = BTreeMap::new();
        for &sample in samples {
            let draw = xxh3_64_with_seed(catalog.key(sample).as_bytes(), SEED);
            classes.entry(catalog.label(sample)).or_default().push((draw, sample));
        }
        // Where two classes are due at the same time, it is not the one with the lower number that always comes first.
        let mut classes: Vec<_> = classes.into_values().collect();
        for class in &mut classes {
            class.sort_unstable();
        }
        classes.sort_unstable_by_key(|class| class[0]);
        Self(classes.into_iter().map(|class| class.into_iter().map(|(_, sample)| sample).collect()).collect())
    }

    /// Leaves so much of each class, at least one sample.
    pub(super) fn take_fraction(&mut self, fraction: f64) {
        /// What the product's rounding is worth: 0.07 of 100 samples are 7, not 8.
        const ROUNDING: f64 = 1e-9;
        for class in &mut self.0 {
            let taken = (fraction * class.len() as f64 - ROUNDING).ceil().max(1.0);
            class.truncate(taken as usize);
        }
    }

    /// The first so many samples of an order in which every prefix has each class's share to less than one sample.
    pub(super) fn take(self, limit: u64) -> Vec<u64> {
        let turns = Turns::new(self.0.iter().map(|class| class.len() as u64).collect());
        let mut classes: Vec<_> = self.0.iter().map(|class| class.iter().copied()).collect();
        let all: usize = self.0.iter().map(Vec::len).sum();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(all);
        turns.take(limit).filter_map(|class| classes[class].next()).collect()
    }

    /// All samples.
    pub(super) fn all(self) -> Vec<u64> {
        self.0.into_iter().flatten().collect()
    }
}
