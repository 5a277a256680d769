//! 64 table lookups at a time: `vpermi2b` finds bytes in half a table of 256.

use std::arch::x86_64::*;

use crate::augment::cpu::Avx512;

/// Replaces each byte by what `table` has for it.
pub(super) fn look_up(_: Avx512, table: &[u8; 256], bytes: &mut [u8]) {
    // SAFETY: the value proves that the processor has these parts of AVX-512.
    unsafe { look_up_avx512(table, bytes) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up_avx512(table: &[u8; 256], bytes: &mut [u8]) {
    // SAFETY: the table has four times 64 bytes.
    let quarter = |number: usize| unsafe { _mm512_loadu_si512(table[number * 64..][..64].as_ptr().cast()) };
    let [first, second, third, fourth] = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let find = |values| {
        let low = _mm512_permutex2var_epi8(first, values, second);
        let high = _mm512_permutex2var_epi8(third, values, fourth);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), low, high)
    };
    let (blocks, rest) = bytes.as_chunks_mut::<64>();
    for block in blocks {
        let block = block.as_mut_ptr().cast();
        // SAFETY: the block has 64 bytes.
        unsafe { _mm512_storeu_si512(block, find(_mm512_loadu_si512(block))) };
    }
    for byte in rest {
        *byte = table[usize::from(*byte)];
    }
}
