//! Decodes or skips a block of Huffman-coded coefficients (ITU-T T.81, F.2.2), and refines a block by a progressive
//! scan (annex G).

#[cfg(target_arch = "x86_64")]
pub(super) mod bmi2;
pub(super) mod progressive;

use super::bits::Bits;
use super::huffman::{AcTable, Entry, HuffmanTable, extend};
use super::idct::Block;
use super::steps::{PLACES, Steps};

/// The tables of one component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coder<'a> {
    pub(super) dc: &'a HuffmanTable,
    pub(super) ac: &'a AcTable,
    pub(super) steps: &'a Steps,
}

/// The block that is being decoded, and behind it where coefficients land that are beyond its last: so long that any byte
/// is an index.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct LongBlock([Block; 4]);

impl LongBlock {
    pub(super) const EMPTY: Self = Self([[0; 64]; 4]);

    /// The block itself.
    #[inline(always)]
    pub(super) fn block(&self) -> &Block {
        &self.0[0]
    }

    /// Sets a coefficient by its zig-zag index.
    #[inline(always)]
    fn set(&mut self, index: usize, value: i16) {
        self.0.as_flattened_mut()[usize::from(PLACES[index & 255])] = value;
    }
}

/// What is wrong with entropy-coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    Code,
    Index,
    /// A coefficient that a refinement adds is of more than one bit.
    Size,
    Ended,
    Restart,
}

/// Below this zig-zag index no symbol, of at most 16 steps, fills the block, so that the next one is still of the block.
const SAFE_FOR_TWO: usize = 63 - 16;

impl Coder<'_> {
    /// Decodes a block. Gives the zig-zag index that its coefficients end at; 0 if there is only DC.
    #[inline(always)]
    pub(super) fn decode(
        &self,
        bits: &mut Bits<'_>,
        prediction: &mut i32,
        block: &mut LongBlock,
    ) -> Result<usize, Damage> {
        block.0[0].fill(0);
        difference(self.dc, bits, prediction)?;
        block.0[0][0] = *prediction as i16;
        let mut k = 0;
        loop {
            // Two symbols that fit into the look-up leave enough bits for any third.
            bits.refill();
            if self.coefficient(bits, &mut k, block)?
                || self.coefficient(bits, &mut k, block)?
                || self.coefficient(bits, &mut k, block)?
            {
                // Beyond the block's last index, the coefficient has gone behind the block.
                return last_index(k, block.0[1][0].into());
            }
        }
    }

    /// Decodes the next coefficient, of an index beyond `k`. True if it was the last, or the end of the block.
    #[inline(always)]
    fn coefficient(&self, bits: &mut Bits<'_>, k: &mut usize, block: &mut LongBlock) -> Result<bool, Damage> {
        let mut entry = self.ac.look_up(bits.window());
        let value = if entry.is_whole() {
            bits.consume(entry.bits());
            entry.value()
        } else {
            let (value, size);
            (entry, value, size) = read_apart(bits, entry, self.ac)?;
            bits.refill();
            extend(value, size)
        };
        *k += entry.advance();
        block.set(*k, value as i16);
        Ok(*k >= 63)
    }

    /// Passes over a block; only the DC prediction is kept.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
        difference(self.dc, bits, prediction)?;
        let (mut k, mut value) = (0, 0);
        // A look-up, with at most 15 bits of value after it, leaves enough bits for a second one.
        while k < SAFE_FOR_TWO {
            bits.refill();
            for _ in 0..2 {
                let entry = self.pass_over(bits, self.ac.look_up_two(bits.window()))?;
                (k, value) = (k + entry.advance(), entry.value());
                if k >= SAFE_FOR_TWO {
                    break;
                }
            }
        }
        while k < 63 {
            bits.refill();
            let entry = self.pass_over(bits, self.ac.look_up(bits.window()))?;
            (k, value) = (k + entry.advance(), entry.value());
        }
        last_index(k, value).map(|_| ())
    }

    /// Passes over the symbol of a look-up, or the two. Gives the entry that says how far the zig-zag index moves.
    #[inline(always)]
    fn pass_over(&self, bits: &mut Bits<'_>, found: Entry) -> Result<Entry, Damage> {
        if !found.is_long() {
            bits.consume(found.bits());
            return Ok(found);
        }
        bits.refill();
        let entry = self.ac.look_up_long(bits.window()).ok_or(Damage::Code)?;
        bits.consume(entry.bits());
        bits.refill();
        Ok(entry)
    }
}

/// Adds the next DC difference to the prediction.
#[inline(always)]
fn difference(table: &HuffmanTable, bits: &mut Bits<'_>, prediction: &mut i32) -> Result<(), Damage> {
    bits.refill();
    let entry = table.look_up(bits.window());
    let value = if entry.is_whole() {
        bits.consume(entry.bits());
        entry.value()
    } else {
        let (_, value, size) = read_apart(bits, entry, table)?;
        extend(value, size)
    };
    *prediction = prediction.wrapping_add(value);
    Ok(())
}

/// Reads what the look-up could not hold: the whole code, or the bits of the value after it, and their number.
#[inline(always)]
fn read_apart(bits: &mut Bits<'_>, entry: Entry, table: &HuffmanTable) -> Result<(Entry, u32, u32), Damage> {
    let entry = if entry.is_long() { table.look_up_long(bits.window()).ok_or(Damage::Code)? } else { entry };
    let size = entry.value() as u32;
    bits.consume(entry.bits() - size);
    // Two shifts, because there may be no bits at all.
    let value = (bits.window() >> 1 >> (63 - size)) as u32;
    bits.consume(size);
    Ok((entry, value, size))
}

/// The last zig-zag index before the end-of-block symbol, if the block ended as it must: that symbol apart, with a
/// coefficient at index 63 or, as libjpeg has it, with a run of 16 zeros across it. `value` is the last symbol's, 0 for
/// nothing but a run.
#[inline(always)]
fn last_index(k: usize, value: i32) -> Result<usize, Damage> {
    match k {
        63 => Ok(63),
        Entry::END.. => Ok(k - Entry::END),
        _ if value == 0 => Ok(63),
        _ => Err(Damage::Index),
    }
}

#[cfg(test)]
mod tests {
    use super::super::huffman::Class;
    use super::*;

    /// Codes: DC `0` is no difference; AC `0` is a run of 16 zeros, `10` a coefficient after 15 zeros, `110` one at once.
    fn block(codes: &str) -> Result<usize, Damage> {
        let dc = HuffmanTable::new(&counts([1, 0, 0]), &[0], Class::Dc).unwrap();
        let ac = AcTable::new(&counts([1, 1, 1]), &[0xf0, 0xf1, 0x01]).unwrap();
        let coder = Coder { dc: &dc, ac: &ac, steps: &Steps::new(&[1; 64]) };
        let codes = codes.bytes().filter(|&code| code != b' ').enumerate();
        let data = codes.fold(0u64, |data, (i, code)| data | u64::from(code & 1) << (63 - i)).to_be_bytes();
        let mut block = LongBlock::EMPTY;
        let decoded = coder.decode(&mut Bits::new(&data, 8), &mut 0, &mut block);
        assert_eq!(coder.skip(&mut Bits::new(&data, 8), &mut 0), decoded.map(|_| ()));
        decoded
    }

    fn counts(shortest: [u8; 3]) -> [u8; 16] {
        std::array::from_fn(|i| shortest.get(i).copied().unwrap_or(0))
    }

    #[test]
    fn a_run_of_zeros_may_cross_the_end_and_a_coefficient_may_not() {
        assert_eq!(block("0 0000"), Ok(63), "64 zeros");
        assert_eq!(block("0 1101 0000"), Ok(63), "a coefficient and 64 zeros");
        assert_eq!(block("0 000 101"), Err(Damage::Index), "a coefficient at 64");
        assert_eq!(block("0 1101 000 101"), Err(Damage::Index), "a coefficient at 65");
    }
}
