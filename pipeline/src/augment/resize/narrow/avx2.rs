//! Four taps of one position at a time.
//!
//! `vpmaddwd` multiplies 16-bit numbers and adds neighbours, two taps here. A weight has 23 bits, so it is split in two,
//! and the sums of both parts are exact.

use std::arch::x86_64::*;

use crate::augment::cpu::Avx2;
use crate::augment::resize::filter::Filter;
use crate::augment::resize::{HALF, PRECISION_BITS};

/// Positions whose results are stored together.
const POSITIONS: usize = 4;
const LOW_BITS: u32 = 15;

/// A filter's weights, in the order in which the kernel reads them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// For each position the same number of quads, `per_position`.
    quads: Vec<Quad>,
    per_position: usize,
}

/// Four neighbouring taps: taps 0 and 1 alternate in the first half of the lanes, 2 and 3 in the second.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(32))]
struct Quad {
    low: [i16; 16],
    high: [i16; 16],
    /// Byte of the row where the first tap's pixel begins.
    start: usize,
}

impl Table {
    pub(super) fn fill(&mut self, filter: &Filter) {
        self.per_position = filter.longest().div_ceil(4);
        self.quads.clear();
        for (first, weights) in filter.all() {
            for number in 0..self.per_position {
                let mut quad = Quad { start: (first + number * 4) * 3, ..Quad::default() };
                for (tap, &weight) in weights.iter().skip(number * 4).take(4).enumerate() {
                    for lane in (tap / 2 * 8 + tap % 2..tap / 2 * 8 + 8).step_by(2) {
                        quad.low[lane] = (weight & ((1 << LOW_BITS) - 1)) as i16;
                        quad.high[lane] = (weight >> LOW_BITS) as i16;
                    }
                }
                self.quads.push(quad);
            }
        }
        let positions = (self.quads.len() / self.per_position).next_multiple_of(POSITIONS);
        self.quads.resize(positions * self.per_position, Quad::default());
    }

    pub(super) fn row(&self, _: Avx2, row: &[u8], out: [&mut [u8]; 3]) {
        // SAFETY: the value proves that the processor has AVX2.
        unsafe { self.row_avx2(row, out) }
    }

    #[target_feature(enable = "avx2")]
    fn row_avx2(&self, row: &[u8], [r, g, b]: [&mut [u8]; 3]) {
        let by_channel = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, -1, -1, -1, -1);
        let outs = r.chunks_mut(POSITIONS).zip(g.chunks_mut(POSITIONS)).zip(b.chunks_mut(POSITIONS));
        for (quads, ((r, g), b)) in self.quads.chunks_exact(POSITIONS * self.per_position).zip(outs) {
            let [first, second, third, fourth] =
                std::array::from_fn(|i| &quads[i * self.per_position..(i + 1) * self.per_position]);
            let pixels = _mm_packus_epi16(
                _mm_packs_epi32(position(row, first), position(row, second)),
                _mm_packs_epi32(position(row, third), position(row, fourth)),
            );
            let mut bytes = [0; 16];
            // SAFETY: the array has 16 bytes.
            unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm_shuffle_epi8(pixels, by_channel)) };
            for (channel, out) in [r, g, b].into_iter().enumerate() {
                let found = &bytes[channel * POSITIONS..(channel + 1) * POSITIONS];
                match <&mut [u8; POSITIONS]>::try_from(&mut *out) {
                    Ok(out) => out.copy_from_slice(found),
                    Err(_) => out.copy_from_slice(&found[..out.len()]),
                }
            }
        }
    }
}

/// Red, green, blue and nothing of one position, in 32 bits each.
#[target_feature(enable = "avx2")]
fn position(row: &[u8], quads: &[Quad]) -> __m128i {
    // Of four pixels, red, green and blue of the first two, each pair side by side, then of the other two.
    let pairs = _mm256_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, //
        6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
    );
    let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for quad in quads {
        let values = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen_bytes(row, quad.start)), pairs);
        // SAFETY: both arrays have 32 bytes.
        let (low_weights, high_weights) = unsafe {
            (_mm256_loadu_si256(quad.low.as_ptr().cast()), _mm256_loadu_si256(quad.high.as_ptr().cast()))
        };
        low = _mm256_add_epi32(low, _mm256_madd_epi16(values, low_weights));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(values, high_weights));
    }
    let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high), low);
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    _mm_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)))
}

/// The row from `start` on, followed by zeros.
#[target_feature(enable = "avx2")]
fn sixteen_bytes(row: &[u8], start: usize) -> __m128i {
    let rest = row.get(start..).unwrap_or_default();
    let mut padded = [0; 16];
    let bytes = rest.first_chunk().unwrap_or_else(|| {
        padded[..rest.len()].copy_from_slice(rest);
        &padded
    });
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
