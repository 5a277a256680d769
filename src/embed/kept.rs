//! Which samples have a row.

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::sampler::SampleSet;

/// Samples of a shard set in their order, all or those chosen, but for a few that were left out. Only these are remembered.
pub struct Kept<'a> {
    shards: &'a ShardSet,
    chosen: Option<&'a SampleSet>,
    /// By their places among those chosen, as is the next.
    skipped: Vec<u64>,
    /// One after the last sample.
    end: u64,
}

impl<'a> Kept<'a> {
    /// No samples yet.
    pub fn new(shards: &'a ShardSet, chosen: Option<&'a SampleSet>) -> Self {
        Self { shards, chosen, skipped: Vec::new(), end: 0 }
    }

    /// Adds a sample; those between it and the one before are left out.
    pub fn push(&mut self, sample: u64) {
        let place = self.chosen.map_or(sample, |chosen| chosen.before(sample));
        self.skipped.extend(self.end..place);
        self.end = place + 1;
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        self.end - self.skipped.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each sample's label; -1 where it has none.
    pub fn labels(&self) -> impl Iterator<Item = i64> {
        self.samples().map(|sample| self.shards.label(sample).map_or(-1, i64::from))
    }

    /// Each sample's key, as a [`line()`].
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.samples().map(|sample| line(self.shards.locate(sample).key))
    }

    fn samples(&self) -> impl Iterator<Item = u64> {
        let places = (0..self.end).filter(|place| self.skipped.binary_search(place).is_err());
        places.map(|place| self.chosen.map_or(place, |chosen| chosen.get(place)))
    }
}

/// A key as a line of a list: a line feed, which would look like the next key's beginning, is written as `\n`.
pub fn line(key: String) -> String {
    if key.contains('\n') { key.replace('\n', "\\n") } else { key }
}
