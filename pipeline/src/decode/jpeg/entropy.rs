//! A block of coefficients out of the Huffman-coded bits (ITU-T T.81, F.2.2), decoded or only passed over.

use super::bits::Bits;
use super::huffman::{Entry, HuffmanTable, extend};
use super::idct::Block;
use super::steps::Steps;

/// The tables of one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coder<'a> {
    pub(super) dc: &'a HuffmanTable,
    pub(super) ac: &'a HuffmanTable,
    pub(super) steps: &'a Steps,
}

/// What is wrong with entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Code,
    Index,
    Ended,
    Restart,
}

/// Symbols that are read without a refill in between: two of the look-up's bits leave enough for a long third.
const SYMBOLS_A_REFILL: usize = 3;

impl Coder<'_> {
    /// Decodes and dequantises a block. Gives the zig-zag index that the coefficients end at; 0 if there is only DC.
    #[inline(always)]
    pub(super) fn decode(
        &self,
        bits: &mut Bits<'_>,
        prediction: &mut i32,
        block: &mut Block,
    ) -> Result<usize, Damage> {
        self.difference(bits, prediction)?;
        block.0 = [0; 64];
        let mut k = 0;
        'block: loop {
            bits.refill();
            for _ in 0..SYMBOLS_A_REFILL {
                let entry = self.ac.look_up(bits.window());
                let (whole, value) = if entry.is_whole() {
                    bits.consume(entry.bits());
                    (entry, entry.value())
                } else {
                    read_value(bits, entry, self.ac)?
                };
                k += whole.advance();
                let (place, step) = self.steps.at(k);
                block.0[place] = value.wrapping_mul(step) as i16;
                if k >= 63 {
                    break 'block;
                }
                if !entry.is_whole() {
                    continue 'block;
                }
            }
        }
        // The zig-zag index beyond the block leads to DC's place, so DC comes last.
        block.0[self.steps.at(0).0] = self.dequantised_dc(*prediction);
        last_index(k)
    }

    /// The DC coefficient times its quantisation step.
    #[inline(always)]
    pub(super) fn dequantised_dc(&self, prediction: i32) -> i16 {
        i32::from(prediction as i16).wrapping_mul(self.steps.at(0).1) as i16
    }

    /// Passes over a block; only the DC prediction is kept.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
        self.difference(bits, prediction)?;
        let mut k = 0;
        'block: loop {
            bits.refill();
            for _ in 0..SYMBOLS_A_REFILL {
                let mut entry = self.ac.look_up(bits.window());
                if entry.is_long() {
                    entry = self.ac.look_up_long(bits.window()).ok_or(Damage::Code)?;
                }
                bits.consume(entry.bits());
                k += entry.advance();
                if k >= 63 {
                    break 'block;
                }
                if !entry.is_whole() {
                    continue 'block;
                }
            }
        }
        last_index(k).map(|_| ())
    }

    /// Adds the next DC difference to the prediction.
    #[inline(always)]
    fn difference(&self, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
        bits.refill();
        let entry = self.dc.look_up(bits.window());
        let value = if entry.is_whole() {
            bits.consume(entry.bits());
            entry.value()
        } else {
            read_value(bits, entry, self.dc)?.1
        };
        *prediction = prediction.wrapping_add(value);
        Ok(())
    }
}

/// Reads what the look-up could not hold: the whole code, or the value after it.
#[inline(always)]
fn read_value(bits: &mut Bits<'_>, entry: Entry, table: &HuffmanTable) -> Result<(Entry, i32), Damage> {
    let entry = if entry.is_long() { table.look_up_long(bits.window()).ok_or(Damage::Code)? } else { entry };
    let size = entry.value() as u32;
    bits.consume(entry.bits() - size);
    // Two shifts, because there may be no bits at all.
    let value = extend((bits.window() >> 1 >> (63 - size)) as u32, size);
    bits.consume(size);
    Ok((entry, value))
}

/// The last zig-zag index before the end-of-block symbol, if the block ended as it must.
#[inline(always)]
fn last_index(k: usize) -> Result<usize, Damage> {
    match k {
        63 => Ok(63),
        Entry::END.. => Ok(k - Entry::END),
        _ => Err(Damage::Index),
    }
}
