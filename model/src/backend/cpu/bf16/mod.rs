//! Operations on bf16 as it is stored, [`Format::Bf16`](crate::backend::Format::Bf16): `batch x height x width x channels`,
//! two bytes each, a "half".
//!
//! Products need an [`Engine`], instructions of the processor for bf16. Without one, `planes` widens images to single
//! precision instead, for the kernels that work in it.

use bytemuck::cast_slice;

mod tiles;
pub(super) use tiles::Engine;

pub(super) mod linear;

pub(super) mod conv2d;

pub(super) mod batch_norm;

/// Words as the halves that they hold: the lower half of a word is the first of the two.
pub(super) fn halves(words: &[f32]) -> &[u16] {
    cast_slice(words)
}

/// The value of a half.
#[inline(always)]
pub(super) fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// The half nearest to a value, as `half::bf16::from_f32` rounds, in a form that becomes vector instructions.
#[inline(always)]
pub(super) fn narrowed(value: f32) -> u16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if value.is_nan() { bits >> 16 | 0x40 } else { nearest }) as u16
}

/// Two halves as a word.
#[inline(always)]
fn pair(first: u16, second: u16) -> u32 {
    u32::from(first) | u32::from(second) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_library() {
        let patterns = (0..1 << 16).map(|i: u32| i.wrapping_mul(0x9e37_79b9));
        let special = [0.0, -0.0, f32::INFINITY, f32::NAN, f32::MAX, 1e-45].map(f32::to_bits);
        for value in patterns.chain(special).chain([0x7f80_0001, 0xff80_0001, 0x3f80_8000, 0x3f81_8000]) {
            let value = f32::from_bits(value);
            assert_eq!(narrowed(value), half::bf16::from_f32(value).to_bits(), "{value}");
        }
    }
}
