//! Huffman tables (ITU-T T.81, annex C) as a look-up table that gives run, length and, if it fits, the value itself;
//! and as another, for AC codes, that skips two symbols at once.

use std::ops::Deref;

/// Bits that index a look-up. 8 KB each: those of luma and chroma stay in the first-level cache.
pub(super) const LOOKUP_BITS: u32 = 11;

/// Which coefficients a table codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Dc,
    /// All AC coefficients of a block, one after the other.
    Ac,
    /// AC coefficients of a progressive scan, where a symbol can end the band of many blocks (G.1.2.2).
    Band,
}

/// A table of codes, for decoding.
#[derive(Debug)]
pub(super) struct HuffmanTable {
    /// The symbol that the bits begin with.
    one: [Entry; 1 << LOOKUP_BITS],
    class: Class,
    /// For each length, one more than its last code, aligned to 16 bits.
    limits: [u32; 17],
    /// For each length, what to add to a code to find its symbol.
    offsets: [u32; 17],
    symbols: [u8; 256],
}

/// A table of AC codes, which can also pass over two symbols at once.
#[derive(Debug)]
pub(super) struct AcTable {
    table: HuffmanTable,
    /// The bits and the advance of two symbols, where a second one with its value fits too, else of one.
    two: [Entry; 1 << LOOKUP_BITS],
}

/// A symbol, packed: bits consumed (0 to 5), [`APART`](Self::APART), [`LONG`](Self::LONG), the advance of
/// the zig-zag index (8 to 15), and its value, or the number of the value's bits if they stand apart (16 to 31). The value is
/// the coefficient, or the number of blocks whose band ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry(u32);

impl Entry {
    /// The value does not fit into the look-up and follows the code.
    const APART: u32 = 1 << 6;
    /// The code does not fit into the look-up, or is none.
    const LONG: u32 = 1 << 7;

    /// How far an end-of-block symbol moves the zig-zag index: beyond what any other symbol can reach.
    pub(super) const END: usize = 128;

    fn new(bits: u32, flag: u32, advance: usize, value: i32) -> Self {
        Self(bits | flag | (advance as u32) << 8 | (value as u32) << 16)
    }

    /// Whether the entry holds a value.
    #[inline(always)]
    pub(super) fn is_whole(self) -> bool {
        self.0 & (Self::APART | Self::LONG) == 0
    }

    /// Whether the code is longer than the look-up, or none at all.
    #[inline(always)]
    pub(super) fn is_long(self) -> bool {
        self.0 & Self::LONG != 0
    }

    /// Bits of code and value, in the low six bits.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// How far the zig-zag index moves: zeros skipped and the coefficient itself.
    #[inline(always)]
    pub(super) fn advance(self) -> usize {
        (self.0 >> 8 & 0xff) as usize
    }

    /// The value if the entry is whole, else the number of its bits.
    #[inline(always)]
    pub(super) fn value(self) -> i32 {
        self.0 as i32 >> 16
    }
}

impl Class {
    /// The value of an entry's symbol, of which `size` bits were read.
    #[inline(always)]
    pub(super) fn value(self, entry: Entry, bits: u32, size: u32) -> i32 {
        match self {
            Self::Band if entry.advance() == Entry::END => (1 << size) + bits as i32,
            _ => extend(bits, size),
        }
    }
}

impl HuffmanTable {
    /// Builds the table from the number of codes of each length, 1 to 16, and their symbols. `None` if there are more
    /// codes than lengths allow, one of which has only ones, or a DC symbol above 15.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8], class: Class) -> Option<Self> {
        let mut table = Self {
            one: [Entry(Entry::LONG); 1 << LOOKUP_BITS],
            class,
            limits: [0; 17],
            offsets: [0; 17],
            symbols: [0; 256],
        };
        table.symbols.get_mut(..symbols.len())?.copy_from_slice(symbols);
        if class == Class::Dc && symbols.iter().any(|&symbol| symbol > 15) {
            return None;
        }
        let (mut code, mut first) = (0, 0);
        for (length, &count) in (1..).zip(counts) {
            table.offsets[length] = (first as u32).wrapping_sub(code);
            for &symbol in symbols.get(first..first + usize::from(count))? {
                table.fill(code, length as u32, symbol);
                code += 1;
            }
            if code >= 1 << length {
                return None;
            }
            first += usize::from(count);
            table.limits[length] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// Writes the entries that begin with a code, if it is short enough.
    fn fill(&mut self, code: u32, length: u32, symbol: u8) {
        let Some(free) = LOOKUP_BITS.checked_sub(length) else { return };
        let entry = self.symbol(symbol, length);
        let size = (entry.bits() & 63) - length;
        let class = self.class;
        let first = (code << free) as usize;
        for (rest, slot) in self.one.iter_mut().skip(first).take(1 << free).enumerate() {
            *slot = entry;
            if size <= free {
                let value = class.value(entry, rest as u32 >> (free - size), size);
                *slot = Entry::new(length + size, 0, entry.advance(), value);
            }
        }
    }

    /// A symbol with its value still to be read (F.1.2.1, F.1.2.2 and G.1.2.2). As in libjpeg, each AC symbol of size 0
    /// but the run of 16 zeros ends the block.
    fn symbol(&self, symbol: u8, length: u32) -> Entry {
        let (run, size) = (symbol >> 4, symbol & 15);
        let (advance, size) = match (self.class, run, size) {
            (Class::Dc, ..) => (1, symbol),
            (Class::Ac, 0..15, 0) => (Entry::END, 0),
            (Class::Band, 0..15, 0) => (Entry::END, run),
            (_, run, size) => (usize::from(run) + 1, size),
        };
        Entry::new(length + u32::from(size), Entry::APART, advance, i32::from(size))
    }

    /// The symbol at the top of `window`.
    #[inline(always)]
    pub(super) fn look_up(&self, window: u64) -> Entry {
        self.one[(window >> (64 - LOOKUP_BITS)) as usize]
    }

    /// The entry of a code longer than the look-up. `None` if there is no such code.
    #[cold]
    pub(super) fn look_up_long(&self, window: u64) -> Option<Entry> {
        let bits = (window >> 48) as u32;
        let length = (LOOKUP_BITS as usize + 1..17).find(|&length| bits < self.limits[length])?;
        let index = (bits >> (16 - length)).wrapping_add(self.offsets[length]);
        Some(self.symbol(*self.symbols.get(index as usize)?, length as u32))
    }
}

impl AcTable {
    /// As [`HuffmanTable::new`]. Joins each symbol with the one after it, unless it ends the block.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let table = HuffmanTable::new(counts, symbols, Class::Ac)?;
        let mut two = table.one;
        for (index, two) in two.iter_mut().enumerate() {
            let first = table.one[index];
            if first.is_whole() && first.advance() != Entry::END {
                let used = first.bits() & 63;
                let second = table.one[index << used & ((1 << LOOKUP_BITS) - 1)];
                let bits = used + (second.bits() & 63);
                if second.is_whole() && bits <= LOOKUP_BITS {
                    *two = Entry::new(bits, 0, first.advance() + second.advance(), second.value());
                }
            }
        }
        Some(Self { table, two })
    }

    /// The bits and the advance of the symbol at the top of `window`, or of two together.
    #[inline(always)]
    pub(super) fn look_up_two(&self, window: u64) -> Entry {
        self.two[(window >> (64 - LOOKUP_BITS)) as usize]
    }
}

impl Deref for AcTable {
    type Target = HuffmanTable;

    #[inline(always)]
    fn deref(&self) -> &HuffmanTable {
        &self.table
    }
}

/// The value of `size` bits: those that begin with 0 are negative (T.81, figure F.12).
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let half = 1u32 << size >> 1;
    bits as i32 - if bits < half { (1 << size) - 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One code of each length from 1 to 16, as `1110` for the fourth.
    fn staircase(symbols: &[u8; 16]) -> AcTable {
        AcTable::new(&[1; 16], symbols).unwrap()
    }

    #[test]
    fn codes_of_every_length_are_found() {
        let symbols = std::array::from_fn(|i| (i as u8) << 4 | 3);
        let table = staircase(&symbols);
        for length in 1..=16 {
            let code = u64::MAX << (65 - length).min(63);
            let window = if length == 1 { 0 } else { code } | 0b101 << (61 - length);
            let mut entry = table.look_up(window);
            if entry.is_long() {
                entry = table.look_up_long(window).unwrap();
            }
            assert_eq!(entry.bits() & 63, length + 3);
            assert_eq!(entry.advance(), length as usize);
            assert_eq!(entry.is_whole(), length + 3 <= LOOKUP_BITS);
            assert_eq!(entry.value(), if entry.is_whole() { 5 } else { 3 });
        }
        assert!(table.look_up_long(u64::MAX).is_none());
    }

    #[test]
    fn two_symbols_are_passed_over_at_once() {
        let symbols = std::array::from_fn(|i| if i == 3 { 0 } else { (i as u8) << 4 | 1 });
        let table = staircase(&symbols);
        // 10 1, 0 1: a run of one zero, then of none. 1110, the end of the block, is joined only as the second.
        let both = table.look_up_two(0b10101 << 59);
        assert_eq!((both.bits() & 63, both.advance()), (5, 3));
        let with_end = table.look_up_two(0b1011110 << 57);
        assert_eq!((with_end.bits() & 63, with_end.advance()), (7, 2 + Entry::END));
        let end = table.look_up_two(0b111001 << 58);
        assert_eq!((end.bits() & 63, end.advance()), (4, Entry::END));
    }

    #[test]
    fn bits_extend_to_both_signs() {
        let values: Vec<i32> = (0..8).map(|bits| extend(bits, 3)).collect();
        assert_eq!(values, [-7, -6, -5, -4, 4, 5, 6, 7]);
        assert_eq!(extend(0, 0), 0);
    }

    #[test]
    fn impossible_tables_are_refused() {
        let only_ones = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(HuffmanTable::new(&only_ones, &[1, 2], Class::Ac).is_none());
        assert!(
            HuffmanTable::new(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[1, 2, 3], Class::Ac)
                .is_none()
        );
        assert!(
            HuffmanTable::new(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[16], Class::Dc).is_none()
        );
    }
}
