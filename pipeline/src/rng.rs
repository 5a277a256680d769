//! The randomness of a view: a pure function of seed, epoch, sample and view.
//!
//! No state passes from one view to the next, so the bytes of a batch do not depend on the number of workers or ranks,
//! or on where a run was resumed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The random stream of one view: ChaCha8 with the 32-byte key (seed, epoch, sample, view), four little-endian `u64`.
#[derive(Debug, Clone)]
pub struct ViewRng(ChaCha8Rng);

impl ViewRng {
    /// The stream of view number `view` of sample number `sample` in epoch `epoch`.
    pub fn new(seed: u64, epoch: u64, sample: u64, view: u64) -> Self {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([seed, epoch, sample, view]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// An independent stream of the same view: ChaCha8 with the same key. Its stream number hashes a step's name and
    /// the number of earlier steps of that name (FNV-1a, 64 bits).
    pub fn branch(&self, name: &str, before: u32) -> Self {
        let bytes = name.bytes().chain(before.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut branch = ChaCha8Rng::from_seed(self.0.get_seed());
        branch.set_stream(hash);
        Self(branch)
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number drawn uniformly from `[low, high)`, with 53 random bits.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        low + (high - low) * unit
    }

    /// Returns true with probability `p`: never for 0, always for 1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform(0.0, 1.0) < p
    }

    /// An integer drawn uniformly from `0..n`, without bias (Lemire, <https://arxiv.org/abs/1805.10941>).
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "no integer is below 0");
        let rejected_below = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(n);
            if product as u32 >= rejected_below {
                return (product >> 32) as u32;
            }
        }
    }

    /// Shuffles the items uniformly (Fisher-Yates).
    pub fn shuffled<T, const N: usize>(&mut self, mut items: [T; N]) -> [T; N] {
        for last in (1..N).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_four_words_and_the_stream_is_chacha8() {
        // Test vector TC1 of draft-strombergson-chacha-test-vectors-01: ChaCha8, 256-bit key of zeros.
        let mut rng = ViewRng::new(0, 0, 0, 0);
        assert_eq!(rng.0.next_u32().to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f]);
        assert_eq!(rng.0.next_u32().to_le_bytes(), [0x89, 0x5f, 0x40, 0xd6]);
    }

    #[test]
    fn known_answers() {
        let mut rng = ViewRng::new(1, 2, 3, 4);
        let drawn = (rng.uniform(0.0, 1.0), rng.below(1000), rng.chance(0.5), rng.shuffled([0, 1, 2, 3]));
        assert_eq!(drawn, (0.06634473257703699, 658, false, [3, 0, 2, 1]));
    }

    #[test]
    fn every_word_of_the_key_changes_the_stream() {
        let first = |seed, epoch, sample, view| ViewRng::new(seed, epoch, sample, view).uniform(0.0, 1.0);
        let streams =
            [first(0, 0, 0, 0), first(1, 0, 0, 0), first(0, 1, 0, 0), first(0, 0, 1, 0), first(0, 0, 0, 1)];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[..i].iter().all(|b| a != b), "{streams:?}");
        }
    }

    #[test]
    fn branches_depend_on_name_and_place_but_not_on_what_was_drawn() {
        let mut view = ViewRng::new(1, 2, 3, 4);
        let first = |rng: &ViewRng, name, before| rng.branch(name, before).word();
        let expected = first(&view, "invert", 0);
        view.word();
        assert_eq!(first(&view, "invert", 0), expected);
        for other in [first(&view, "invert", 1), first(&view, "equalize", 0), ViewRng::new(1, 2, 3, 4).word()]
        {
            assert_ne!(other, expected);
        }
    }

    #[test]
    fn views_are_independent() {
        let n = 20_000;
        let pairs =
            (0..n).map(|sample| [0, 1].map(|view| ViewRng::new(7, 0, sample, view).uniform(-1.0, 1.0)));
        let correlation: f64 = pairs.map(|[a, b]| 3.0 * a * b).sum::<f64>() / n as f64;
        assert!(correlation.abs() < 4.0 / (n as f64).sqrt(), "{correlation}");
    }

    #[test]
    fn integers_are_uniform() {
        let mut counts = [0; 7];
        let mut rng = ViewRng::new(5, 0, 0, 0);
        (0..70_000).for_each(|_| counts[rng.below(7) as usize] += 1);
        assert!(counts.iter().all(|&count: &i32| count.abs_diff(10_000) < 400), "{counts:?}");
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn orders_are_uniform() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = ViewRng::new(6, 0, 0, 0);
        (0..24_000).for_each(|_| *counts.entry(rng.shuffled([0, 1, 2, 3])).or_insert(0i32) += 1);
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|count| count.abs_diff(1000) < 160), "{counts:?}");
    }

    #[test]
    fn certain_and_impossible_chances() {
        let mut rng = ViewRng::new(8, 0, 0, 0);
        assert!((0..1000).all(|_| rng.chance(1.0) && !rng.chance(0.0)));
    }
}
