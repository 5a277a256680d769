//! Four taps of eight positions at a time, two positions in each register.
//!
//! `vpmaddwd` multiplies 16-bit numbers and adds neighbours, two taps here. A weight has 23 bits, so it is split in two,
//! and the sums of both parts are exact.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{BLOCK, Rows, Target};
use crate::augment::cpu::Avx2;
use crate::augment::resize::filter::Filter;
use crate::augment::resize::{HALF, PRECISION_BITS};

/// Positions whose results are stored together.
const POSITIONS: usize = 8;
/// Bits of a weight's low part, which is not negative as a 16-bit number.
const LOW_BITS: u32 = 15;

/// A filter's weights, in the order in which the kernel reads them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// For each group of positions the same number of quads, `per_group`.
    quads: Vec<Quad>,
    per_group: usize,
}

/// Four neighbouring taps of each of eight positions.
#[derive(Debug, Clone, Default)]
#[repr(C, align(32))]
struct Quad {
    /// Of positions 0 and 4, then 1 and 5, 2 and 6, 3 and 7.
    pairs: [Pair; 4],
    /// Byte of the row where each position's first tap begins.
    starts: [usize; POSITIONS],
}

/// Weights of two positions, one in each half of the lanes; the first two taps alternate, so do the other two.
#[derive(Debug, Clone, Default)]
#[repr(C, align(32))]
struct Pair {
    low: [[i16; 16]; 2],
    high: [[i16; 16]; 2],
}

impl Table {
    pub(super) fn fill(&mut self, filter: &Filter) {
        self.per_group = filter.longest().div_ceil(4);
        let positions = filter.all().len();
        self.quads.clear();
        for first in (0..positions).step_by(POSITIONS) {
            for first_tap in (0..self.per_group * 4).step_by(4) {
                let mut quad = Quad::default();
                for number in 0..POSITIONS.min(positions - first) {
                    let (start, weights) = filter.taps(first + number);
                    quad.starts[number] = (start + first_tap) * 3;
                    let half = number / 4 * 8;
                    let pair = &mut quad.pairs[number % 4];
                    for (tap, &weight) in weights.iter().skip(first_tap).take(4).enumerate() {
                        for lane in (half + tap % 2..half + 8).step_by(2) {
                            pair.low[tap / 2][lane] = (weight & ((1 << LOW_BITS) - 1)) as i16;
                            pair.high[tap / 2][lane] = (weight >> LOW_BITS) as i16;
                        }
                    }
                }
                self.quads.push(quad);
            }
        }
    }

    pub(super) fn rows(&self, _: Avx2, source: Rows<'_>, mut target: Target<'_>) {
        for first in (0..source.count).step_by(BLOCK) {
            let rows = first..(first + BLOCK).min(source.count);
            // SAFETY: the value proves that the processor has AVX2.
            unsafe { self.block(source, &mut target, rows) };
        }
    }

    /// Narrows a few rows, one group of positions after another, so that a group's weights stay in the first cache.
    #[target_feature(enable = "avx2")]
    fn block(&self, source: Rows<'_>, target: &mut Target<'_>, rows: Range<usize>) {
        for (group, quads) in self.quads.chunks_exact(self.per_group).enumerate() {
            let left = group * POSITIONS;
            let width = POSITIONS.min(target.size - left);
            for y in rows.clone() {
                let channels = positions(source.row_and_rest(y), quads);
                for (channel, bytes) in channels.into_iter().enumerate() {
                    let start = y * target.row_stride + channel * target.channel_stride + left;
                    let out = &mut target.bytes[start..start + width];
                    match <&mut [u8; POSITIONS]>::try_from(&mut *out) {
                        Ok(out) => *out = bytes.to_le_bytes(),
                        Err(_) => out.copy_from_slice(&bytes.to_le_bytes()[..width]),
                    }
                }
            }
        }
    }
}

/// Eight bytes of red, of green and of blue. What follows the row is multiplied by 0.
#[inline]
#[target_feature(enable = "avx2")]
fn positions(row: &[u8], quads: &[Quad]) -> [u64; 3] {
    // Of four pixels in each half of the lanes: the two reds, greens and blues of the first or of the last two, widened.
    let first_taps = both_halves(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    let last_taps = both_halves(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    let mut sums = [[_mm256_set1_epi32(HALF), _mm256_setzero_si256()]; 4];
    for quad in quads {
        for (number, ([low, high], pair)) in sums.iter_mut().zip(&quad.pairs).enumerate() {
            let [near, far] = [quad.starts[number], quad.starts[number + 4]];
            let pixels = _mm256_set_m128i(sixteen_bytes(row, far), sixteen_bytes(row, near));
            let first = _mm256_shuffle_epi8(pixels, first_taps);
            let last = _mm256_shuffle_epi8(pixels, last_taps);
            for (sum, weights) in [(low, &pair.low), (high, &pair.high)] {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(first, load(&weights[0])));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(last, load(&weights[1])));
            }
        }
    }
    let mut levels = [_mm256_setzero_si256(); 4];
    for (level, [low, high]) in levels.iter_mut().zip(sums) {
        let sum = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high), low);
        *level = _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(sum);
    }
    let pixels = _mm256_packus_epi16(
        _mm256_packs_epi32(levels[0], levels[1]),
        _mm256_packs_epi32(levels[2], levels[3]),
    );
    let by_channel = both_halves(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, -1, -1, -1, -1));
    let fours = _mm256_shuffle_epi8(pixels, by_channel);
    let eights = _mm256_permutevar8x32_epi32(fours, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    let [red, green] = [_mm256_extract_epi64::<0>(eights), _mm256_extract_epi64::<1>(eights)];
    [red as u64, green as u64, _mm256_extract_epi64::<2>(eights) as u64]
}

#[inline]
#[target_feature(enable = "avx2")]
fn both_halves(half: __m128i) -> __m256i {
    _mm256_broadcastsi128_si256(half)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(weights: &[i16; 16]) -> __m256i {
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) }
}

/// What begins at `start`, followed by zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn sixteen_bytes(row: &[u8], start: usize) -> __m128i {
    match row.get(start..start + 16) {
        // SAFETY: the slice has 16 bytes.
        Some(bytes) => unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) },
        None => last_bytes(row, start),
    }
}

#[cold]
#[target_feature(enable = "avx2")]
fn last_bytes(row: &[u8], start: usize) -> __m128i {
    let rest = row.get(start..).unwrap_or_default();
    let mut padded = [0; 16];
    padded[..rest.len()].copy_from_slice(rest);
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_loadu_si128(padded.as_ptr().cast()) }
}
