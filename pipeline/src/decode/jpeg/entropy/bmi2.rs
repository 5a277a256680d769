//! The same loops for processors that shift by any register and load either byte order.
//!
//! Functions of their own, not inlined, with a copy of the reader: so its state stays in registers.

use super::{Coder, Damage, LongBlock};
use crate::decode::jpeg::bits::Bits;

/// As [`Coder::decode`].
#[inline(never)]
#[target_feature(enable = "bmi1,bmi2,movbe,avx2")]
pub(in super::super) fn decode(
    coder: &Coder<'_>,
    bits: &mut Bits<'_>,
    prediction: &mut i32,
    block: &mut LongBlock,
) -> Result<usize, Damage> {
    let mut local = bits.clone();
    let last = coder.decode(&mut local, prediction, block);
    *bits = local;
    last
}

/// As [`Coder::skip`].
#[inline(never)]
#[target_feature(enable = "bmi1,bmi2,movbe,avx2")]
pub(in super::super) fn skip(
    coder: &Coder<'_>,
    bits: &mut Bits<'_>,
    prediction: &mut i32,
) -> Result<(), Damage> {
    let mut local = bits.clone();
    let passed = coder.skip(&mut local, prediction);
    *bits = local;
    passed
}
