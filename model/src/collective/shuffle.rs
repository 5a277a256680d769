//! Shuffle-BN (He et al. 2020, section 3.3). Where batch norm sees each rank's images alone, a key and its query would have the
//! statistics of the same images in common, and the network could recognise the positive pair by them. Keys are therefore
//! computed from images that are shuffled among the ranks, and put back in order.

use dfdx::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Ranks;
use crate::backend::Backend;
use crate::tensors::{Features, View};

/// An order of a batch's images that all ranks know.
#[derive(Debug)]
pub struct Shuffle<'a> {
    ranks: &'a Ranks,
    /// The place in the batch of each image in the new order.
    order: Vec<usize>,
}

impl<'a> Shuffle<'a> {
    /// An order for the batch of which `samples` is this rank's share. It depends only on the samples of the whole batch, so
    /// that a resumed run repeats it. `None` where batch norm looks across the ranks.
    pub fn of(ranks: &'a Ranks, samples: &[usize]) -> Option<Self> {
        if ranks.size() == ranks.of_batch_norm().size() {
            return None;
        }
        let samples = ranks.all_gather(samples);
        let seed = samples.iter().fold(0u64, |seed, &sample| seed.rotate_left(5) ^ sample as u64);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<_> = (0..samples.len()).collect();
        order.sort_by_cached_key(|_| random.next_u64());
        Some(Self { ranks, order })
    }

    /// This rank's share of the shuffled batch, where `view` is its share of the batch in order.
    pub fn share<D: Backend>(&self, view: &View<D>) -> View<D> {
        let share = self.order.len() / self.ranks.size();
        view.exchanged(self.ranks, &self.order[self.ranks.rank() * share..][..share])
    }

    /// Puts the rows of the whole shuffled batch back in order.
    pub fn undone<const C: usize, D: Backend>(&self, z: &Features<D, C>) -> Features<D, C> {
        let (shuffled, mut rows) = (z.as_vec(), vec![0.0; z.shape().0 * C]);
        for (row, &place) in shuffled.chunks_exact(C).zip(&self.order) {
            rows[place * C..][..C].copy_from_slice(row);
        }
        z.device().tensor_from_vec(rows, *z.shape())
    }
}
