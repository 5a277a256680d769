//! What a probe learns from: features that are computed once, or new ones of new crops each epoch.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use simsiam_pipeline::sampler::{Population, Sampler};
use simsiam_pipeline::{LastBatch, Order, Part, World};

use super::super::features::{Extractor, LabelledFeatures};
use crate::data::Source;

/// Which views a probe learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeViews {
    /// The evaluation view of each image: features are computed once and kept in memory
    Cached,
    /// A new random crop and flip of each image in each epoch, as the paper does; every epoch runs the encoder
    Augmented,
}

impl fmt::Display for ProbeViews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "cached",
            Self::Augmented => "augmented",
        })
    }
}

/// A probe's training features.
pub enum Examples<'a> {
    /// The features of plain views.
    Cached(&'a LabelledFeatures),
    /// Crops and flips of a source, as features.
    Augmented(&'a Extractor<'a>, &'a Source),
}

impl Examples<'_> {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Cached(set) => set.labels.len(),
            Self::Augmented(_, source) => source.len() as usize,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `step(features, labels)` with the batches of one epoch, in an order that `seed` and `epoch` draw. The last,
    /// partial batch is dropped.
    ///
    /// # Errors
    /// If the batch is larger than the data, features cannot be had, or `step` fails.
    pub fn for_each_batch(
        &self,
        epoch: u64,
        batch_size: usize,
        seed: u64,
        mut step: impl FnMut(&[f32], &[u32]) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Cached(set) => shuffled(set, epoch, batch_size, seed, step),
            Self::Augmented(extractor, source) => {
                let mut waiting = LabelledFeatures::new(extractor.encoder.dim());
                for part in extractor.augmented(source, seed, epoch)? {
                    waiting.extend(&part?);
                    let dim = waiting.dim;
                    let full = waiting.labels.len() / batch_size * batch_size;
                    let batches = waiting.features[..full * dim].chunks_exact(batch_size * dim);
                    batches
                        .zip(waiting.labels.chunks_exact(batch_size))
                        .try_for_each(|(features, labels)| step(features, labels))?;
                    waiting.features.drain(..full * dim);
                    waiting.labels.drain(..full);
                }
                Ok(())
            }
        }
    }
}

fn shuffled(
    set: &LabelledFeatures,
    epoch: u64,
    batch_size: usize,
    seed: u64,
    mut step: impl FnMut(&[f32], &[u32]) -> Result<()>,
) -> Result<()> {
    let samples = set.labels.len() as u64;
    let sampler = Sampler::new(
        &Population::all(samples),
        Part::All,
        batch_size,
        seed,
        Order::Shuffled,
        LastBatch::Dropped,
        World::SINGLE,
    )?;
    let order = sampler.epoch(epoch);
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for batch in 0..sampler.steps_per_epoch() {
        features.clear();
        labels.clear();
        for sample in sampler.positions(batch).map(|position| order.sample(position) as usize) {
            features.extend_from_slice(&set.features[sample * set.dim..][..set.dim]);
            labels.push(set.labels[sample]);
        }
        step(&features, &labels)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_shows_each_feature_once_with_its_label_in_another_order() {
        let set = LabelledFeatures {
            dim: 2,
            features: (0..40).map(|i| i as f32).collect(),
            labels: (0..20).collect(),
        };
        let epoch = |epoch| {
            let mut seen = Vec::new();
            let step = |features: &[f32], labels: &[u32]| {
                assert_eq!((features.len(), labels.len()), (12, 6));
                for (row, &label) in features.chunks(2).zip(labels) {
                    assert_eq!(row, [2.0 * label as f32, 2.0 * label as f32 + 1.0]);
                }
                seen.extend_from_slice(labels);
                Ok(())
            };
            Examples::Cached(&set).for_each_batch(epoch, 6, 1, step).unwrap();
            seen
        };
        let (first, second) = (epoch(0), epoch(1));
        assert_eq!((first.len(), second.len()), (18, 18));
        assert_ne!(first, second);
        assert_eq!(first, epoch(0));
        let mut sorted = first;
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 18);
    }
}
