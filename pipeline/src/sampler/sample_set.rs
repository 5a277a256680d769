//! A compact set of sample numbers, in the Elias-Fano code (Elias 1974; Fano 1971).

use std::sync::Arc;

/// Some of the samples of a data set, by number.
///
/// `m` samples of `n` take about `2 + log2(n / m)` bits each, for any `n`: 0.7 bytes each for a tenth of the samples,
/// 1.1 for a hundredth. Clones share the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleSet {
    of: u64,
    len: u64,
    /// A number's lowest bits lie in `low`, packed; the others in `high`.
    low_bits: u32,
    low: Arc<[u64]>,
    /// Bit `(number >> low_bits) + i` is set for the `i`-th number.
    high: Arc<[u64]>,
    /// Bits set in `high` before each block of [`BLOCK`] words.
    set_before: Arc<[u64]>,
}

/// Words of `high` that are counted one by one.
const BLOCK: usize = 8;

impl SampleSet {
    /// The set of `numbers`, in ascending order, out of `0..of`.
    ///
    /// # Panics
    /// If they are not in ascending order, or not all below `of`.
    pub fn new(numbers: &[u64], of: u64) -> Self {
        assert!(numbers.is_sorted_by(|a, b| a < b), "the numbers of a set are not in ascending order");
        assert!(numbers.last().is_none_or(|&last| last < of), "a set's number is not below {of}");
        let len = numbers.len() as u64;
        let low_bits = (of / len.max(1)).max(1).ilog2();
        let mut low = vec![0; (numbers.len() * low_bits as usize).div_ceil(64) + 1];
        let mut high = vec![0; ((of >> low_bits) + len) as usize / 64 + 1];
        for (i, &number) in numbers.iter().enumerate() {
            let at = i * low_bits as usize;
            let bits = u128::from(number & mask(low_bits)) << (at % 64);
            low[at / 64] |= bits as u64;
            if at % 64 + low_bits as usize > 64 {
                low[at / 64 + 1] |= (bits >> 64) as u64;
            }
            let bit = (number >> low_bits) as usize + i;
            high[bit / 64] |= 1 << (bit % 64);
        }
        let set_before = high.chunks(BLOCK).scan(0, |total, block| {
            let before = *total;
            *total += block.iter().map(|word: &u64| u64::from(word.count_ones())).sum::<u64>();
            Some(before)
        });
        let set_before = set_before.collect();
        Self { of, len, low_bits, low: low.into(), high: high.into(), set_before }
    }

    /// Number of samples in the set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of samples in the whole data set.
    pub fn of(&self) -> u64 {
        self.of
    }

    /// The `i`-th number, in ascending order, of `0..len`; in logarithmic time.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, i: u64) -> u64 {
        assert!(i < self.len, "number {i} of a set of {}", self.len);
        let block = self.set_before.partition_point(|&before| before <= i) - 1;
        let mut left = (i - self.set_before[block]) as u32;
        let mut word = block * BLOCK;
        while self.high[word].count_ones() <= left {
            left -= self.high[word].count_ones();
            word += 1;
        }
        let high = word as u64 * 64 + u64::from(nth_set_bit(self.high[word], left)) - i;
        (high << self.low_bits) | self.low(i)
    }

    /// Numbers that only this set has.
    pub(super) fn words(&self) -> Vec<u64> {
        [&[self.of, self.len], &*self.low, &*self.high].concat()
    }

    /// Number of elements less than `number`.
    pub fn before(&self, number: u64) -> u64 {
        first_where(self.len, |i| self.get(i) >= number)
    }

    /// Whether `number` is an element.
    pub fn contains(&self, number: u64) -> bool {
        let place = self.before(number);
        place < self.len && self.get(place) == number
    }

    /// The `i`-th number of `0..of` that is not in the set, in ascending order.
    pub(super) fn get_missing(&self, i: u64) -> u64 {
        i + first_where(self.len, |place| self.get(place) - place > i)
    }

    fn low(&self, i: u64) -> u64 {
        let at = i as usize * self.low_bits as usize;
        let next = u128::from(self.low.get(at / 64 + 1).copied().unwrap_or(0));
        let words = (next << 64) | u128::from(self.low[at / 64]);
        (words >> (at % 64)) as u64 & mask(self.low_bits)
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The place of the `n`-th bit that is set.
fn nth_set_bit(mut word: u64, n: u32) -> u32 {
    for _ in 0..n {
        word &= word - 1;
    }
    word.trailing_zeros()
}

/// The first of `0..n` for which `holds`, which holds for all behind it; `n` if there is none.
fn first_where(n: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut start, mut end) = (0, n);
    while start < end {
        let middle = start + (end - start) / 2;
        if holds(middle) { end = middle } else { start = middle + 1 }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::super::permutation::hash;
    use super::*;

    /// Every size around powers of two, some of each: none, few, most, all, and far apart.
    #[test]
    fn numbers_ranks_and_gaps_are_those_of_the_list() {
        for of in (1..80).chain([127, 128, 129, 1000, 1021, 4097]) {
            for share in [0, 1, 10, 128, 250, 256] {
                let numbers: Vec<u64> =
                    (0..of).filter(|&n| hash(of * 1000 + share, n) % 256 < share).collect();
                let missing: Vec<u64> = (0..of).filter(|n| !numbers.contains(n)).collect();
                let set = SampleSet::new(&numbers, of);
                assert_eq!((set.len(), set.of()), (numbers.len() as u64, of));
                assert!((0..set.len()).map(|i| set.get(i)).eq(numbers.iter().copied()), "of {of}");
                assert!((0..of - set.len()).map(|i| set.get_missing(i)).eq(missing), "of {of}");
                for number in 0..=of {
                    assert_eq!(set.before(number), numbers.iter().filter(|&&n| n < number).count() as u64);
                }
            }
        }
    }

    #[test]
    fn numbers_far_apart_are_kept_in_few_bits() {
        let numbers: Vec<u64> = (0..1000).map(|i| i * 1_000_000_007 + hash(1, i) % 1_000_000).collect();
        let set = SampleSet::new(&numbers, 1 << 40);
        assert!((0..1000).all(|i| set.get(i) == numbers[i as usize]));
        let words = set.low.len() + set.high.len() + set.set_before.len();
        assert!(words * 64 < 1000 * 33, "{words} words");
    }
}
