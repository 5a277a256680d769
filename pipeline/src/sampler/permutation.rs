//! Random permutations that are computed, not stored (a Feistel network with cycle walking, Black & Rogaway 2002).

/// A keyed bijection on `0..n`.
#[derive(Clone, Debug)]
pub(super) struct Permutation {
    n: u64,
    half_bits: u32,
    round_keys: [u64; ROUNDS],
}

/// Seven rounds of a balanced Feistel network are indistinguishable from a random permutation (Patarin 2004).
const ROUNDS: usize = 7;

impl Permutation {
    pub(super) fn new(n: u64, key: u64) -> Self {
        let bits = u64::BITS - n.saturating_sub(1).leading_zeros();
        let round_keys = std::array::from_fn(|round| hash(key, round as u64));
        Self { n, half_bits: bits.div_ceil(2).max(1), round_keys }
    }

    pub(super) fn len(&self) -> u64 {
        self.n
    }

    /// Walks the network's cycle until it is back inside `0..n`: fewer than four steps on average.
    pub(super) fn at(&self, position: u64) -> u64 {
        debug_assert!(position < self.n);
        let mut x = self.encrypt(position);
        while x >= self.n {
            x = self.encrypt(x);
        }
        x
    }

    fn encrypt(&self, x: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (x >> self.half_bits, x & mask);
        for key in self.round_keys {
            (left, right) = (right, left ^ (hash(key, right) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// A number in `0..n` of a `draw` from all of `u64`.
pub(super) fn scaled(draw: u64, n: u64) -> u64 {
    ((u128::from(draw) * u128::from(n)) >> 64) as u64
}

/// The SplitMix64 finaliser (Steele et al. 2014) of two words.
pub(super) fn hash(key: u64, value: u64) -> u64 {
    let mut x = key ^ value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
