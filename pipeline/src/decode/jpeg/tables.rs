//! The tables of a file's header, kept from one file to the next: most files of a data set bring the same ones.

use super::huffman::{AcTable, Class, HuffmanTable};
use super::steps::Steps;

/// Four slots of each kind, as many as a header can name.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dc: [Slot<HuffmanTable>; 4],
    ac: [Slot<AcTable>; 4],
    steps: [Slot<Steps>; 4],
}

/// A built table, beside the bytes that it was built from.
#[derive(Debug)]
struct Slot<T> {
    source: Vec<u8>,
    built: Option<Box<T>>,
    /// Whether the present file has defined it.
    defined: bool,
}

impl Tables {
    /// Begins a new file, in which no table is defined.
    pub(super) fn forget(&mut self) {
        self.dc.iter_mut().for_each(|slot| slot.defined = false);
        self.ac.iter_mut().for_each(|slot| slot.defined = false);
        self.steps.iter_mut().for_each(|slot| slot.defined = false);
    }

    /// Reads a DHT segment (B.2.4.2). `None` if it is malformed.
    pub(super) fn define_huffman(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let counts = rest.first_chunk::<16>()?;
            let symbols = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
            let (source, rest) = rest.split_at_checked(16 + symbols)?;
            let (number, symbols) = (usize::from(kind & 15), &source[16..]);
            match kind >> 4 {
                0 => {
                    let slot = self.dc.get_mut(number)?;
                    slot.define(source, || HuffmanTable::new(counts, symbols, Class::Dc))?;
                }
                1 => self.ac.get_mut(number)?.define(source, || AcTable::new(counts, symbols))?,
                _ => return None,
            }
            body = rest;
        }
        Some(())
    }

    /// Reads a DQT segment (B.2.4.1). `None` if it is malformed.
    pub(super) fn define_quantization(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = body.split_first() {
            let bytes_each = match kind >> 4 {
                0 => 1,
                1 => 2,
                _ => return None,
            };
            let (source, rest) = rest.split_at_checked(64 * bytes_each)?;
            let slot = self.steps.get_mut(usize::from(kind & 15))?;
            slot.define(source, || Some(Steps::new(source)))?;
            body = rest;
        }
        Some(())
    }

    pub(super) fn dc(&self, slot: u8) -> Option<&HuffmanTable> {
        self.dc.get(usize::from(slot))?.get()
    }

    pub(super) fn ac(&self, slot: u8) -> Option<&AcTable> {
        self.ac.get(usize::from(slot))?.get()
    }

    pub(super) fn steps(&self, slot: u8) -> Option<&Steps> {
        self.steps.get(usize::from(slot))?.get()
    }
}

impl<T> Slot<T> {
    /// A table other than the last one takes its place: from the second on, nothing is allocated.
    fn define(&mut self, source: &[u8], build: impl FnOnce() -> Option<T>) -> Option<()> {
        self.defined = false;
        if self.built.is_none() || self.source != source {
            let table = build()?;
            match &mut self.built {
                Some(built) => **built = table,
                None => self.built = Some(Box::new(table)),
            }
            self.source.clear();
            self.source.extend_from_slice(source);
        }
        self.defined = true;
        Some(())
    }

    fn get(&self) -> Option<&T> {
        self.built.as_deref().filter(|_| self.defined)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { source: Vec::new(), built: None, defined: false }
    }
}
