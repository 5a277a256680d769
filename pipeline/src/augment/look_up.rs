//! Replaces each byte by what a table has for it.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::cpu::Cpu;

/// Replaces each byte by what `table` has for it.
pub(super) fn look_up(cpu: Cpu, table: &[u8; 256], bytes: &mut [u8]) {
    match cpu {
        // SAFETY: the value proves that the processor has AVX2.
        #[cfg(target_arch = "x86_64")]
        Cpu::Avx2(_) => unsafe { avx2(table, bytes) },
        // SAFETY: the value proves that the processor has these parts of AVX-512.
        #[cfg(target_arch = "x86_64")]
        Cpu::Avx512(_) => unsafe { avx512(table, bytes) },
        Cpu::Plain => plain(table, bytes),
    }
}

fn plain(table: &[u8; 256], bytes: &mut [u8]) {
    for byte in bytes {
        *byte = table[usize::from(*byte)];
    }
}

/// 32 at a time: `vpshufb` finds the low half of a byte in each sixteenth of the table, then each bit of the high half
/// chooses between two of them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(table: &[u8; 256], bytes: &mut [u8]) {
    let (blocks, rest) = bytes.as_chunks_mut::<32>();
    for block in blocks {
        let block = block.as_mut_ptr().cast();
        // SAFETY: the block has 32 bytes.
        let values = unsafe { _mm256_loadu_si256(block) };
        let low = _mm256_and_si256(values, _mm256_set1_epi8(15));
        let find = |sixteenth: usize| {
            // SAFETY: the table has sixteen times 16 bytes.
            let part = unsafe { _mm_loadu_si128(table[16 * sixteenth..][..16].as_ptr().cast()) };
            _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), low)
        };
        // A byte's highest bit chooses.
        let bits = [
            _mm256_slli_epi16::<3>(values),
            _mm256_slli_epi16::<2>(values),
            _mm256_slli_epi16::<1>(values),
            values,
        ];
        let choose = |bit: usize, [no, yes]: [__m256i; 2]| _mm256_blendv_epi8(no, yes, bits[bit]);
        let two = |first| choose(0, [find(first), find(first + 1)]);
        let four = |first| choose(1, [two(first), two(first + 2)]);
        let eight = |first| choose(2, [four(first), four(first + 4)]);
        let found = choose(3, [eight(0), eight(8)]);
        // SAFETY: the block has 32 bytes.
        unsafe { _mm256_storeu_si256(block, found) };
    }
    plain(table, rest);
}

/// 64 at a time: `vpermi2b` finds bytes in half the table.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn avx512(table: &[u8; 256], bytes: &mut [u8]) {
    // SAFETY: the table has four times 64 bytes.
    let quarter = |number: usize| unsafe { _mm512_loadu_si512(table[number * 64..][..64].as_ptr().cast()) };
    let [first, second, third, fourth] = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let (blocks, rest) = bytes.as_chunks_mut::<64>();
    for block in blocks {
        let block = block.as_mut_ptr().cast();
        // SAFETY: the block has 64 bytes.
        let values = unsafe { _mm512_loadu_si512(block) };
        let low = _mm512_permutex2var_epi8(first, values, second);
        let high = _mm512_permutex2var_epi8(third, values, fourth);
        let found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), low, high);
        // SAFETY: the block has 64 bytes.
        unsafe { _mm512_storeu_si512(block, found) };
    }
    plain(table, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_on_every_cpu() {
        let table = std::array::from_fn(|value| ((value * value * 31) >> 3) as u8);
        let bytes: Vec<u8> = (0..512 + 77).map(|number| number as u8).collect();
        for cpu in Cpu::all() {
            for length in [0, 1, 31, 32, 64, 100, bytes.len()] {
                let mut found = bytes[..length].to_vec();
                look_up(cpu, &table, &mut found);
                assert!(found.iter().zip(&bytes).all(|(found, byte)| *found == table[usize::from(*byte)]));
            }
        }
    }
}
