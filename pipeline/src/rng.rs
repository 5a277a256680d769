//! The randomness of a view: a pure function of seed, epoch, sample and view.
//!
//! No state is carried from one view to the next, so the bytes of a batch do not depend on the number of workers or
//! ranks, nor on where a run was resumed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Random stream of one view: ChaCha8 whose 32-byte key is (seed, epoch, sample, view), four little-endian `u64`.
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

    /// A number drawn uniformly from `[low, high)`, with 53 random bits.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let unit = (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        low + (high - low) * unit
    }

    /// True with probability `p`: never for 0, always for 1.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform(0.0, 1.0) < p
    }

    /// An integer drawn uniformly from `0..n`, without bias (Lemire, <https://arxiv.org/abs/1805.10941>).
    ///
    /// # Panics
    /// When `n` is 0.
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

    /// The items in an order drawn uniformly from all orders (Fisher-Yates).
    pub fn shuffled<T, const N: usize>(&mut self, mut items: [T; N]) -> [T; N] {
        for last in (1..N).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
        items
    }
}
