//! Decodes a block of a progressive scan (ITU-T T.81, G.1.2): a first approximation of DC or of a band of AC
//! coefficients, or one more bit of known ones.
//!
//! Each stored block has a bit set of the zig-zag indices of its non-zero coefficients. A refinement thereby finds the
//! coefficients to correct, and counts zeros, without reading the block.

use super::{Damage, difference, read_apart};
use crate::decode::jpeg::bits::Bits;
use crate::decode::jpeg::huffman::{Class, Entry, HuffmanTable};
use crate::decode::jpeg::idct::Block;
use crate::decode::jpeg::steps::PLACES;

/// The next DC coefficient, without its lowest `low` bits.
#[inline(always)]
pub(in super::super) fn first_dc(
    table: &HuffmanTable,
    low: u32,
    bits: &mut Bits<'_>,
    prediction: &mut i32,
    block: &mut Block,
) -> Result<(), Damage> {
    difference(table, bits, prediction)?;
    block[0] = (*prediction << low) as i16;
    Ok(())
}

/// One more bit of the DC coefficient.
#[inline(always)]
pub(in super::super) fn refine_dc(low: u32, bits: &mut Bits<'_>, block: &mut Block) {
    bits.refill();
    block[0] |= ((bits.window() >> 63) << low) as i16;
    bits.consume(1);
}

/// A scan of AC coefficients.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Band<'a> {
    pub(in super::super) table: &'a HuffmanTable,
    /// The first and the last zig-zag index, 1 to 63.
    pub(in super::super) first: usize,
    pub(in super::super) last: usize,
    /// The bits below those that the scan has.
    pub(in super::super) low: u32,
}

impl Band<'_> {
    /// The first approximation of a block. `ended` counts the blocks from this one on of which nothing is coded.
    #[inline(always)]
    pub(in super::super) fn decode(
        &self,
        bits: &mut Bits<'_>,
        ended: &mut u32,
        block: &mut Block,
        nonzero: &mut u64,
    ) -> Result<(), Damage> {
        if *ended > 0 {
            *ended -= 1;
            return Ok(());
        }
        let mut k = self.first - 1;
        loop {
            // Two symbols that fit into the look-up leave enough bits for any third.
            bits.refill();
            if self.coefficient(bits, &mut k, ended, block, nonzero)?
                || self.coefficient(bits, &mut k, ended, block, nonzero)?
                || self.coefficient(bits, &mut k, ended, block, nonzero)?
            {
                return Ok(());
            }
        }
    }

    /// Decodes the next coefficient, of an index beyond `k`. True if it was the last, or the end of the band.
    #[inline(always)]
    fn coefficient(
        &self,
        bits: &mut Bits<'_>,
        k: &mut usize,
        ended: &mut u32,
        block: &mut Block,
        nonzero: &mut u64,
    ) -> Result<bool, Damage> {
        let (entry, value) = self.symbol(bits)?;
        if entry.advance() == Entry::END {
            *ended = value as u32 - 1;
            return Ok(true);
        }
        *k += entry.advance();
        // A run of 16 zeros has no value, and may cross the end.
        if value != 0 {
            block[place(*k)?] = (value << self.low) as i16;
            *nonzero |= 1 << *k;
        }
        Ok(*k >= self.last)
    }

    /// One more bit of a block's coefficients: of those that are not 0, and of those that become 1 or -1 by it.
    #[inline(always)]
    pub(in super::super) fn refine(
        &self,
        bits: &mut Bits<'_>,
        ended: &mut u32,
        block: &mut Block,
        nonzero: &mut u64,
    ) -> Result<(), Damage> {
        let band = from(self.first) & !from(self.last + 1);
        let mut k = self.first;
        while *ended == 0 && k <= self.last {
            bits.refill();
            let (entry, value) = self.symbol(bits)?;
            if entry.advance() == Entry::END {
                *ended = value as u32;
                break;
            }
            let mut zeros = !*nonzero & band & from(k);
            for _ in 1..entry.advance() {
                zeros &= zeros.wrapping_sub(1);
            }
            let target = (zeros.trailing_zeros() as usize).min(self.last + 1);
            self.correct(bits, *nonzero & band & from(k) & !from(target), block);
            match value {
                0 => {}
                1 | -1 if target <= self.last => {
                    block[place(target)?] = (value << self.low) as i16;
                    *nonzero |= 1 << target;
                }
                1 | -1 => return Err(Damage::Index),
                _ => return Err(Damage::Size),
            }
            k = target + 1;
        }
        if *ended > 0 {
            self.correct(bits, *nonzero & band & from(k), block);
            *ended -= 1;
        }
        Ok(())
    }

    /// Reads a bit for each coefficient of `these`, which lie apart from 0 by one more where it is set.
    #[inline(always)]
    fn correct(&self, bits: &mut Bits<'_>, mut these: u64, block: &mut Block) {
        while these != 0 {
            bits.refill();
            for _ in 0..56 {
                let coefficient = &mut block[usize::from(PLACES[these.trailing_zeros() as usize & 63])];
                let sign = (*coefficient >> 15) | 1;
                let bit = (bits.window() >> 63) as i16;
                // libjpeg leaves a bit alone that is set.
                let missing = bit & !(*coefficient >> self.low);
                *coefficient = coefficient.wrapping_add((sign * missing) << self.low);
                bits.consume(1);
                these &= these - 1;
                if these == 0 {
                    break;
                }
            }
        }
    }

    /// The next symbol and its value. It may be of any length when 31 bits are valid; where it takes more than the look-up's,
    /// bits are refilled.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits<'_>) -> Result<(Entry, i32), Damage> {
        let entry = self.table.look_up(bits.window());
        if entry.is_whole() {
            bits.consume(entry.bits());
            return Ok((entry, entry.value()));
        }
        let (entry, value, size) = read_apart(bits, entry, self.table)?;
        bits.refill();
        Ok((entry, Class::Band.value(entry, value, size)))
    }
}

/// The set of all indices from `k` on.
#[inline(always)]
fn from(k: usize) -> u64 {
    u64::MAX.checked_shl(k as u32).unwrap_or(0)
}

/// Where a block holds a coefficient.
#[inline(always)]
fn place(k: usize) -> Result<usize, Damage> {
    if k < 64 { Ok(usize::from(PLACES[k])) } else { Err(Damage::Index) }
}
