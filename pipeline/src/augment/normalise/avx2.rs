//! Eight values at a time.

use std::arch::x86_64::*;

use super::{Channel, INVERSE_255, STREAMED};
use crate::augment::cpu::Avx2;

pub(super) fn normalise(_: Avx2, channel: &Channel, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: the value proves that the processor has AVX2 and FMA.
    unsafe { normalise_avx2(channel, bytes, out) }
}

#[target_feature(enable = "avx2,fma")]
fn normalise_avx2(channel: &Channel, bytes: &[u8], out: &mut [f32]) {
    let [high, low, mean, std_high, std_low] =
        [INVERSE_255.high, INVERSE_255.low, channel.mean, channel.inverse_std.high, channel.inverse_std.low]
            .map(|number| _mm256_set1_ps(number));
    let streamed = out.len() >= STREAMED;
    let unaligned = if streamed { out.as_ptr().align_offset(32) } else { 0 };
    let (first_bytes, bytes) = bytes.split_at(unaligned);
    let (first_out, out) = out.split_at_mut(unaligned);
    channel.look_up(first_bytes, first_out);
    let (bytes, last_bytes) = bytes.as_chunks::<8>();
    let (out, last_out) = out.as_chunks_mut::<8>();
    for (bytes, out) in bytes.iter().zip(out) {
        let eight = _mm_cvtsi64_si128(i64::from_le_bytes(*bytes));
        let level = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(eight));
        let unit = _mm256_fmadd_ps(level, high, _mm256_mul_ps(level, low));
        let centered = _mm256_sub_ps(unit, mean);
        let scaled = _mm256_fmadd_ps(centered, std_high, _mm256_mul_ps(centered, std_low));
        // SAFETY: `out` has eight floats and, if it is streamed, begins at a multiple of 32 bytes.
        unsafe {
            if streamed {
                _mm256_stream_ps(out.as_mut_ptr(), scaled);
            } else {
                _mm256_storeu_ps(out.as_mut_ptr(), scaled);
            }
        }
    }
    channel.look_up(last_bytes, last_out);
    if streamed {
        // Only after a fence are streamed stores ordered before what tells another thread that the view is there.
        _mm_sfence();
    }
}
