//! Sixteen values at a time.

use std::arch::x86_64::*;

use super::{Channel, INVERSE_255, STREAMED};
use crate::augment::cpu::Avx512;

pub(super) fn normalise(_: Avx512, channel: &Channel, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: the value proves that the processor has AVX-512 F.
    unsafe { normalise_avx512(channel, bytes, out) }
}

#[target_feature(enable = "avx512f")]
fn normalise_avx512(channel: &Channel, bytes: &[u8], out: &mut [f32]) {
    let [high, low, mean, std_high, std_low] =
        [INVERSE_255.high, INVERSE_255.low, channel.mean, channel.inverse_std.high, channel.inverse_std.low]
            .map(|number| _mm512_set1_ps(number));
    let streamed = out.len() >= STREAMED;
    let unaligned = if streamed { out.as_ptr().align_offset(64) } else { 0 };
    let (first_bytes, bytes) = bytes.split_at(unaligned);
    let (first_out, out) = out.split_at_mut(unaligned);
    channel.look_up(first_bytes, first_out);
    let (bytes, last_bytes) = bytes.as_chunks::<16>();
    let (out, last_out) = out.as_chunks_mut::<16>();
    for (bytes, out) in bytes.iter().zip(out) {
        // SAFETY: `bytes` has sixteen bytes.
        let sixteen = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
        let level = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(sixteen));
        let unit = _mm512_fmadd_ps(level, high, _mm512_mul_ps(level, low));
        let centered = _mm512_sub_ps(unit, mean);
        let scaled = _mm512_fmadd_ps(centered, std_high, _mm512_mul_ps(centered, std_low));
        // SAFETY: `out` has sixteen floats and, if it is streamed, begins at a multiple of 64 bytes.
        unsafe {
            if streamed {
                _mm512_stream_ps(out.as_mut_ptr(), scaled);
            } else {
                _mm512_storeu_ps(out.as_mut_ptr(), scaled);
            }
        }
    }
    channel.look_up(last_bytes, last_out);
    if streamed {
        // Only after a fence are streamed stores ordered before what tells another thread that the view is there.
        _mm_sfence();
    }
}
