//! The tables of a file, kept for the next file: most files of a data set have the same ones.

use super::huffman::{AcTable, Class, HuffmanTable};
use super::steps::Steps;
use super::{malformed, standard};
use crate::decode::DecodeError;

/// Four slots of each kind, as many as a file can name. A table is built when a scan first uses it.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dc: [Slot; 4],
    ac: [Slot; 4],
    quantization: [Slot; 4],
    built_dc: [Built<HuffmanTable>; 4],
    built_ac: [Built<AcTable>; 4],
    built_band: [Built<HuffmanTable>; 4],
    built_steps: [Built<Steps>; 4],
}

/// A table as it stands in a file.
#[derive(Debug, Default)]
struct Slot {
    source: Vec<u8>,
    /// Counts the different tables that files have had in this slot.
    version: u64,
    /// Whether the present file has defined it.
    defined: bool,
}

/// A table for use, and the version that it was built from.
#[derive(Debug)]
struct Built<T> {
    version: u64,
    table: Option<Box<T>>,
}

impl Tables {
    /// Begins a new file, in which no table is defined.
    pub(super) fn forget(&mut self) {
        for slot in self.dc.iter_mut().chain(&mut self.ac).chain(&mut self.quantization) {
            slot.defined = false;
        }
    }

    /// Reads a DHT segment (B.2.4.2).
    pub(super) fn define_huffman(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let Some((&kind, rest)) = body.split_first() {
            let counts =
                rest.first_chunk::<16>().ok_or_else(|| malformed("a Huffman table that is cut off"))?;
            let symbols = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let (source, rest) = rest
                .split_at_checked(16 + symbols)
                .ok_or_else(|| malformed("a Huffman table that is cut off"))?;
            let slots = if kind & 16 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = slots.get_mut(usize::from(kind & !16)).filter(|_| symbols <= 256);
            slot.ok_or_else(|| malformed("a Huffman table of an unknown kind"))?.define(source);
            body = rest;
        }
        Ok(())
    }

    /// Reads a DQT segment (B.2.4.1).
    pub(super) fn define_quantization(&mut self, mut body: &[u8]) -> Result<(), DecodeError> {
        while let Some((&kind, rest)) = body.split_first() {
            let bytes = if kind >> 4 == 0 { 64 } else { 128 };
            let (source, rest) = rest
                .split_at_checked(bytes)
                .ok_or_else(|| malformed("a quantisation table that is cut off"))?;
            let slot = self.quantization.get_mut(usize::from(kind & 15));
            slot.ok_or_else(|| malformed("a quantisation table of an unknown number"))?.define(source);
            body = rest;
        }
        Ok(())
    }

    /// The tables of a component in a sequential scan. Where the file has none, they are the standard ones.
    pub(super) fn build_sequential(&mut self, dc: u8, ac: u8) -> Result<(), DecodeError> {
        let standard_tables: [(_, &[u8], &[u8]); 2] =
            [(0, &standard::LUMA_DC, &standard::LUMA_AC), (1, &standard::CHROMA_DC, &standard::CHROMA_AC)];
        for (number, dc, ac) in standard_tables {
            self.dc[number].define_if_missing(dc);
            self.ac[number].define_if_missing(ac);
        }
        self.build_dc(dc)?;
        build(&self.ac, &mut self.built_ac, ac, |source| {
            let (counts, symbols) = source.split_first_chunk()?;
            AcTable::new(counts, symbols)
        })
    }

    /// The table of a component in a progressive scan of DC.
    pub(super) fn build_dc(&mut self, dc: u8) -> Result<(), DecodeError> {
        build(&self.dc, &mut self.built_dc, dc, |source| {
            let (counts, symbols) = source.split_first_chunk()?;
            HuffmanTable::new(counts, symbols, Class::Dc)
        })
    }

    /// The table of a progressive scan of AC.
    pub(super) fn build_band(&mut self, ac: u8) -> Result<(), DecodeError> {
        build(&self.ac, &mut self.built_band, ac, |source| {
            let (counts, symbols) = source.split_first_chunk()?;
            HuffmanTable::new(counts, symbols, Class::Band)
        })
    }

    /// The quantisation steps of a component.
    pub(super) fn steps(&mut self, number: u8) -> Result<&Steps, DecodeError> {
        build(&self.quantization, &mut self.built_steps, number, |source| Some(Steps::new(source)))?;
        Ok(self.built_steps[usize::from(number)].get())
    }

    pub(super) fn dc(&self, number: u8) -> &HuffmanTable {
        self.built_dc[usize::from(number)].get()
    }

    pub(super) fn ac(&self, number: u8) -> &AcTable {
        self.built_ac[usize::from(number)].get()
    }

    pub(super) fn band(&self, number: u8) -> &HuffmanTable {
        self.built_band[usize::from(number)].get()
    }
}

/// Builds a table, unless it is that of the file before.
fn build<T>(
    slots: &[Slot; 4],
    built: &mut [Built<T>; 4],
    number: u8,
    new: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<(), DecodeError> {
    let number = usize::from(number);
    let slot = slots.get(number).filter(|slot| slot.defined);
    let slot = slot.ok_or_else(|| malformed("a scan whose tables are not in the file"))?;
    let built = &mut built[number];
    if built.version != slot.version {
        let table = new(&slot.source).ok_or_else(|| malformed("a Huffman table that no codes fit"))?;
        // From the second on, nothing is allocated.
        match &mut built.table {
            Some(old) => **old = table,
            None => built.table = Some(Box::new(table)),
        }
        built.version = slot.version;
    }
    Ok(())
}

impl Slot {
    fn define(&mut self, source: &[u8]) {
        if self.version == 0 || self.source != source {
            self.source.clear();
            self.source.extend_from_slice(source);
            self.version += 1;
        }
        self.defined = true;
    }

    fn define_if_missing(&mut self, source: &[u8]) {
        if !self.defined {
            self.define(source);
        }
    }
}

impl<T> Built<T> {
    fn get(&self) -> &T {
        self.table.as_deref().expect("a scan's tables are built before it is decoded")
    }
}

impl<T> Default for Built<T> {
    fn default() -> Self {
        Self { version: 0, table: None }
    }
}
