//! The training images whose features are nearest to a validation image's.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use simsiam_pipeline::decode::Decoder;

use crate::canvas::fitted;
use crate::console::Phase;
use crate::data::{Place, Source, decoded};
use crate::evaluate::cosine::{normalise, similarities};
use crate::evaluate::features::Extractor;
use crate::evaluate::samples::{Sampled, Samples};

/// Images that are asked.
const QUERIES: usize = 20;
/// Neighbours of each.
const NEAREST: usize = 6;
/// Longer side of a neighbour's picture, in pixels.
const SIDE: u32 = 64;

/// Neighbours of the first samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// Training images that were compared.
    pub compared: usize,
    /// Of each of the first samples the nearest, the nearest first.
    pub of_sample: Vec<Vec<Neighbour>>,
}

/// A training image.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// Cosine similarity of the features, at most 1.
    pub similarity: f32,
    /// The image.
    pub image: Sampled,
}

impl Neighbours {
    /// More training images are not compared, since they would have to be encoded first.
    pub const MOST_IMAGES: usize = 10_000;

    /// Compares the first of `samples`, which are of `queries`, with images of `bank` that a fixed permutation draws.
    ///
    /// # Errors
    /// If images cannot be read, features are not finite, or the user asked to stop.
    pub fn of(
        samples: &Samples,
        queries: &Source,
        extractor: &Extractor<'_>,
        bank: &Source,
        phase: &Phase,
    ) -> Result<Self> {
        let (mut features, mut numbers) = (Vec::new(), Vec::new());
        for batch in extractor.plain(&bank.some(Self::MOST_IMAGES as u64))? {
            let batch = batch?;
            features.extend_from_slice(&batch.features);
            numbers.extend(batch.images.samples());
            phase.inc(batch.images.len() as u64);
        }
        let asked = samples.images.len().min(QUERIES);
        let mut queried = samples.features[..asked * samples.dim].to_vec();
        for features in [&mut features, &mut queried] {
            normalise(features, samples.dim).map_err(|row| anyhow!("feature {row} is not finite"))?;
        }
        let similarities = similarities(&queried, &features, samples.dim);
        let is_same_set = Arc::ptr_eq(&queries.shards, &bank.shards);
        let mut decoder = Decoder::default();
        let of_sample = samples.images.iter().zip(similarities.chunks_exact(numbers.len().max(1)));
        let of_sample = of_sample.map(|(query, row)| {
            let others =
                row.iter().zip(&numbers).filter(|(_, number)| !(is_same_set && **number == query.sample));
            let nearest = nearest(others.map(|(similarity, number)| (*similarity, *number)).collect());
            nearest
                .into_iter()
                .filter_map(|(similarity, number)| shown(bank, number, similarity, &mut decoder))
                .collect()
        });
        Ok(Self { compared: numbers.len(), of_sample: of_sample.collect() })
    }
}

/// The most similar, the first of equally similar ones first.
fn nearest(mut found: Vec<(f32, u64)>) -> Vec<(f32, u64)> {
    found.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    found.truncate(NEAREST);
    found
}

fn shown(bank: &Source, sample: u64, similarity: f32, decoder: &mut Decoder) -> Option<Neighbour> {
    let thumbnail = fitted(&decoded(&bank.shards, sample, decoder)?, SIDE);
    let place = Place::of(&bank.shards, sample);
    let image = Sampled { sample, place: place.at.to_string(), class: place.class(), thumbnail };
    Some(Neighbour { similarity, image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_come_first_and_equal_ones_in_their_order() {
        let found = [(0.1, 0), (0.9, 1), (0.5, 2), (0.9, 3), (0.2, 4), (0.3, 5), (-1.0, 6), (0.4, 7)];
        let numbers: Vec<u64> = nearest(found.into()).into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers, [1, 3, 2, 7, 5, 4]);
    }
}
