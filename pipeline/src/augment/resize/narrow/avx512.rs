//! Four taps of sixteen positions at a time.
//!
//! `vpermi2b` picks any bytes out of 128, `vpdpbusd` adds four products of an unsigned and a signed byte. A weight has 23
//! bits, so it is split into three signed bytes, and the sums of each are exact.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{BLOCK, Rows, Target};
use crate::augment::cpu::Avx512;
use crate::augment::resize::filter::Filter;
use crate::augment::resize::{HALF, PRECISION_BITS};

/// Positions side by side, a lane of 32 bits each.
const POSITIONS: usize = 16;
/// Bytes that one permutation can reach.
const REACH: usize = 128;

/// A filter's weights, in the order in which the kernel reads them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// For each group of positions the same number of quads, `per_group`, 1 or 2.
    quads: Vec<Quad>,
    per_group: usize,
}

/// Four neighbouring taps of each of sixteen positions.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Quad {
    /// Where the red byte of each tap lies, from `start`.
    indices: [u8; 64],
    /// The weights are `digits[0] + 256 * digits[1] + 65536 * digits[2]`.
    digits: [[i8; 64]; 3],
    /// First byte of the row that any position reads.
    start: usize,
    /// How many of the following bytes lie inside the row, and which.
    len: usize,
    inside: [u64; 2],
}

impl Table {
    /// False if the taps of some group lie too far apart: the image is more than twice as wide as the view.
    pub(super) fn fill(&mut self, filter: &Filter, row_bytes: usize) -> bool {
        self.per_group = filter.longest().div_ceil(4);
        if self.per_group > 2 {
            return false;
        }
        self.quads.clear();
        let positions = filter.all().len();
        for group in (0..positions).step_by(POSITIONS) {
            let positions = group..(group + POSITIONS).min(positions);
            for first_tap in (0..self.per_group * 4).step_by(4) {
                let Some(quad) = Quad::new(filter, positions.clone(), first_tap, row_bytes) else {
                    return false;
                };
                self.quads.push(quad);
            }
        }
        true
    }

    pub(super) fn rows(&self, _: Avx512, source: Rows<'_>, mut target: Target<'_>) {
        for first in (0..source.count).step_by(BLOCK) {
            let rows = first..(first + BLOCK).min(source.count);
            // SAFETY: the value proves that the processor has these parts of AVX-512.
            unsafe {
                match self.per_group {
                    1 => self.block::<1>(source, &mut target, rows),
                    _ => self.block::<2>(source, &mut target, rows),
                }
            }
        }
    }

    /// Narrows a few rows, one group of positions after another, so that a group's weights stay in registers.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    fn block<const QUADS: usize>(&self, source: Rows<'_>, target: &mut Target<'_>, rows: Range<usize>) {
        for (group, quads) in self.quads.as_chunks::<QUADS>().0.iter().enumerate() {
            let left = group * POSITIONS;
            let width = POSITIONS.min(target.size - left);
            let kept = u16::MAX >> (POSITIONS - width);
            for y in rows.clone() {
                let row = source.row(y);
                let mut sums = [[_mm512_set1_epi32(HALF), _mm512_setzero_si512(), _mm512_setzero_si512()]; 3];
                for quad in quads {
                    let [near, far] = quad.bytes(row);
                    let mut indices = load(&quad.indices);
                    for sums in &mut sums {
                        let values = _mm512_permutex2var_epi8(near, indices, far);
                        for (sum, digits) in sums.iter_mut().zip(&quad.digits) {
                            *sum = _mm512_dpbusd_epi32(*sum, values, load(digits));
                        }
                        indices = _mm512_add_epi8(indices, _mm512_set1_epi8(1));
                    }
                }
                for (channel, [low, middle, high]) in sums.into_iter().enumerate() {
                    let upper = _mm512_add_epi32(_mm512_slli_epi32::<8>(high), middle);
                    let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(upper), low);
                    let level = _mm512_srai_epi32::<PRECISION_BITS>(sum);
                    let bytes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(level, _mm512_setzero_si512()));
                    let start = y * target.row_stride + channel * target.channel_stride + left;
                    let out = &mut target.bytes[start..start + width];
                    match <&mut [u8; POSITIONS]>::try_from(&mut *out) {
                        // SAFETY: the array has 16 bytes.
                        Ok(out) => unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) },
                        // SAFETY: the mask keeps as many bytes as `out` has.
                        Err(_) => unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr().cast(), kept, bytes) },
                    }
                }
            }
        }
    }
}

impl Quad {
    fn new(filter: &Filter, positions: Range<usize>, first_tap: usize, row_bytes: usize) -> Option<Self> {
        let start = positions.clone().map(|position| filter.taps(position).0).min()? + first_tap;
        let start = (start * 3).min(row_bytes);
        let len = (row_bytes - start).min(REACH);
        let inside = [len.min(64), len.saturating_sub(64)]
            .map(|bytes| if bytes == 0 { 0 } else { u64::MAX >> (64 - bytes) });
        let mut quad = Self { indices: [0; 64], digits: [[0; 64]; 3], start, len, inside };
        for (lane, position) in positions.enumerate() {
            let (first, weights) = filter.taps(position);
            for (tap, &weight) in weights.iter().skip(first_tap).take(4).enumerate() {
                let index = (first + first_tap + tap) * 3 - start;
                if index + 2 >= REACH {
                    return None;
                }
                quad.indices[lane * 4 + tap] = index as u8;
                let mut rest = weight;
                for digits in &mut quad.digits {
                    let digit = rest as i8;
                    digits[lane * 4 + tap] = digit;
                    rest = (rest - i32::from(digit)) >> 8;
                }
            }
        }
        Some(quad)
    }

    /// The 128 bytes from `start` on, zeros after the end of the row.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn bytes(&self, row: &[u8]) -> [__m512i; 2] {
        let bytes = row[self.start..][..self.len].as_ptr();
        // SAFETY: the masks select the `len` bytes there; others are not read.
        unsafe {
            [
                _mm512_maskz_loadu_epi8(self.inside[0], bytes.cast()),
                _mm512_maskz_loadu_epi8(self.inside[1], bytes.wrapping_add(64).cast()),
            ]
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load<T>(bytes: &[T; 64]) -> __m512i {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
