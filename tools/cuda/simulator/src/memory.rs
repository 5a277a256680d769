//! The device's memory: every value knows whether it is allocated and whether it was written.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use memmap2::{MmapMut, MmapOptions, UncheckedAdvice};

use crate::races::{Races, Thread};

/// An address of a value on the device.
pub type Address = u64;

/// Addresses that can be given out in a run. They are never given out twice, so that a use after a free is seen.
const SPACE: usize = 1 << 40;

/// Where allocations begin, and what lies between them at least.
const GAP: usize = 512;

/// Bytes that share a state.
const GRANULE: usize = 4;

/// States of a granule.
const NONE: u8 = 0;
const UNWRITTEN: u8 = 1;
const WRITTEN: u8 = 2;

/// What a program did wrong, or needs that is not simulated.
#[derive(Debug)]
pub struct Fault(pub String);

impl Fault {
    pub fn new<T>(text: impl Into<String>) -> Result<T, Self> {
        Err(Self(text.into()))
    }
}

/// See the module's text. Addresses on the device are addresses of this process.
pub struct Memory {
    bytes: MmapMut,
    states: MmapMut,
    /// Between a launch's threads.
    races: Races,
    next: usize,
    sizes: HashMap<Address, usize>,
    /// Addresses that are freed, once their stream comes to it.
    released: HashSet<Address>,
    used: usize,
    capacity: usize,
}

impl Memory {
    /// Of so many bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: zeros(SPACE),
            states: zeros(SPACE / GRANULE),
            races: Races::new(SPACE / GRANULE),
            next: GAP,
            sizes: HashMap::new(),
            released: HashSet::new(),
            used: 0,
            capacity,
        }
    }

    /// Bytes that are free, and all.
    pub fn info(&self) -> (usize, usize) {
        (self.capacity - self.used, self.capacity)
    }

    /// An address for so many bytes, which [`Memory::begin`] makes usable; `None` if memory is full.
    pub fn reserve(&mut self, bytes: usize) -> Option<Address> {
        let used = self.used + bytes.next_multiple_of(GAP);
        if used > self.capacity {
            return None;
        }
        self.used = used;
        let at = self.next;
        // What lies as far beyond an allocation as it is long is nobody's.
        self.next += (2 * bytes + GAP).next_multiple_of(GAP);
        assert!(self.next <= SPACE, "the simulator has given out all its addresses");
        let address = self.address(at);
        self.sizes.insert(address, bytes);
        Some(address)
    }

    /// The stream has come to the allocation.
    pub fn begin(&mut self, address: Address) {
        let (at, bytes) = (self.offset(address), self.sizes[&address]);
        self.states[at / GRANULE..(at + bytes).div_ceil(GRANULE)].fill(UNWRITTEN);
        self.bytes[at..at + bytes].fill(0xff);
    }

    /// No longer counts these bytes as used.
    pub fn release(&mut self, address: Address) -> Result<(), Fault> {
        let is_live = self.sizes.contains_key(&address) && self.released.insert(address);
        if !is_live {
            return Fault::new(format!("{address:#x} is freed, which was never allocated, or twice"));
        }
        self.used -= self.sizes[&address].next_multiple_of(GAP);
        Ok(())
    }

    /// The stream has come to the end of the allocation.
    pub fn end(&mut self, address: Address) -> Result<(), Fault> {
        let Some(bytes) = self.sizes.remove(&address) else {
            return Fault::new(format!("{address:#x} is freed, which was never allocated, or twice"));
        };
        self.released.remove(&address);
        let at = self.offset(address);
        let granules = at / GRANULE..(at + bytes).div_ceil(GRANULE);
        self.states[granules.clone()].fill(NONE);
        give_back(&mut self.states, granules);
        give_back(&mut self.bytes, at..at + bytes);
        self.races.forget(at / GRANULE..(at + bytes) / GRANULE);
        Ok(())
    }

    fn address(&self, offset: usize) -> Address {
        self.bytes.as_ptr() as Address + offset as Address
    }

    /// The place of an address; one that is not the device's is beyond all places.
    fn offset(&self, address: Address) -> usize {
        address.wrapping_sub(self.bytes.as_ptr() as Address) as usize
    }

    /// The place of `WIDTH` bytes that are allocated, and written if they are to be read.
    #[inline]
    fn checked<const WIDTH: usize>(&self, address: Address, least: u8) -> Option<usize> {
        let at = self.offset(address);
        let is_usable = |granule: usize| self.states.get(granule).is_some_and(|state| *state >= least);
        let last = at.wrapping_add(WIDTH - 1) / GRANULE;
        (at.is_multiple_of(WIDTH) && is_usable(at / GRANULE) && is_usable(last)).then_some(at)
    }

    /// What is wrong with an address that was refused.
    #[cold]
    fn refused(&self, address: Address, width: usize) -> Fault {
        let at = self.offset(address);
        let what = match self.states.get(at / GRANULE) {
            None => "is not on the device",
            Some(_) if !at.is_multiple_of(width) => "is not aligned",
            Some(&UNWRITTEN) => "is read before it is written",
            Some(_) => "is not allocated",
        };
        Fault(format!("{width} bytes at {address:#x}: the address {what}"))
    }

    /// A launch begins.
    pub fn launch(&mut self) {
        self.races.next();
    }

    /// Bytes of one value, for a thread of the launch.
    pub fn load<const WIDTH: usize>(
        &mut self,
        address: Address,
        thread: Thread,
    ) -> Result<[u8; WIDTH], Fault> {
        let place = self.checked::<WIDTH>(address, WRITTEN);
        let at = place.ok_or_else(|| self.refused(address, WIDTH))?;
        granules::<WIDTH>(at).try_for_each(|granule| self.races.read(granule, thread))?;
        Ok(self.bytes[at..at + WIDTH].try_into().expect("as many bytes"))
    }

    /// Writes one value, for a thread of the launch.
    pub fn store<const WIDTH: usize>(
        &mut self,
        address: Address,
        thread: Thread,
        value: [u8; WIDTH],
    ) -> Result<(), Fault> {
        let place = self.checked::<WIDTH>(address, UNWRITTEN);
        let at = place.ok_or_else(|| self.refused(address, WIDTH))?;
        granules::<WIDTH>(at).try_for_each(|granule| self.races.write(granule, thread))?;
        self.states[at / GRANULE..(at + WIDTH).div_ceil(GRANULE)].fill(WRITTEN);
        self.bytes[at..at + WIDTH].copy_from_slice(&value);
        Ok(())
    }

    fn range(&self, address: Address, len: usize, least: u8) -> Result<Range<usize>, Fault> {
        if len == 0 {
            return Ok(0..0);
        }
        let at = self.offset(address);
        if at >= SPACE || len > SPACE - at {
            return Fault::new(format!("{address:#x} is not on the device"));
        }
        let granules = at / GRANULE..(at + len).div_ceil(GRANULE);
        match self.states[granules].iter().position(|state| *state < least) {
            None => Ok(at..at + len),
            Some(granule) => {
                let what = if least == WRITTEN { "read" } else { "written" };
                Fault::new(format!("byte {} of {len} at {address:#x} cannot be {what}", granule * GRANULE))
            }
        }
    }

    /// Bytes to read.
    pub fn bytes(&self, address: Address, len: usize) -> Result<&[u8], Fault> {
        Ok(&self.bytes[self.range(address, len, WRITTEN)?])
    }

    /// Writes bytes.
    pub fn write(&mut self, address: Address, bytes: &[u8]) -> Result<(), Fault> {
        let range = self.range(address, bytes.len(), UNWRITTEN)?;
        self.states[range.start / GRANULE..range.end.div_ceil(GRANULE)].fill(WRITTEN);
        self.bytes[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Makes bytes that may be used for anything unreadable until they are written.
    pub fn forget(&mut self, address: Address, len: usize) -> Result<(), Fault> {
        let range = self.range(address, len, UNWRITTEN)?;
        self.states[range.start / GRANULE..range.end.div_ceil(GRANULE)].fill(UNWRITTEN);
        Ok(())
    }

    /// Values in single precision.
    pub fn floats(&self, address: Address, len: usize) -> Result<Vec<f32>, Fault> {
        aligned(address, 4)?;
        let bytes = self.bytes(address, 4 * len)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Values in bf16, as single precision.
    pub fn halves(&self, address: Address, len: usize) -> Result<Vec<f32>, Fault> {
        aligned(address, 2)?;
        let bytes = self.bytes(address, 2 * len)?;
        let widened = |bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
        Ok(bytes.as_chunks().0.iter().map(widened).collect())
    }

    /// Writes values in single precision.
    pub fn write_floats(&mut self, address: Address, values: &[f32]) -> Result<(), Fault> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.write(address, &bytes)
    }

    /// Writes values, rounded to bf16, to the nearest and of two the even one.
    pub fn write_halves(&mut self, address: Address, values: &[f32]) -> Result<(), Fault> {
        let half = |value: &f32| match (value.to_bits(), value.is_nan()) {
            (bits, false) => ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16,
            (bits, true) => (bits >> 16 | 0x40) as u16,
        };
        let bytes: Vec<u8> = values.iter().flat_map(|value| half(value).to_le_bytes()).collect();
        self.write(address, &bytes)
    }
}

fn aligned(address: Address, bytes: u64) -> Result<(), Fault> {
    if address.is_multiple_of(bytes) { Ok(()) } else { Fault::new(format!("{address:#x} is not aligned")) }
}

/// So many bytes, which take memory once they are written.
pub fn zeros(bytes: usize) -> MmapMut {
    let map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon();
    map.expect("a process has that many addresses")
}

/// Gives whole pages of what nothing reads any more back to the system.
pub fn give_back(map: &mut MmapMut, bytes: Range<usize>) {
    const PAGE: usize = 4096;
    let (from, to) = (bytes.start.next_multiple_of(PAGE), bytes.end / PAGE * PAGE);
    if from < to {
        // SAFETY: no reference to these bytes is held, and they may be anything from now on.
        let _ = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, from, to - from) };
    }
}

/// The granules of a value for which threads may race: of smaller values, a granule has several.
fn granules<const WIDTH: usize>(at: usize) -> Range<usize> {
    at / GRANULE..at / GRANULE + WIDTH / GRANULE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T>(result: Result<T, Fault>) -> String {
        result.err().map(|Fault(text)| text).unwrap_or_default()
    }

    #[test]
    fn values_are_read_only_where_they_were_written_and_until_they_are_freed() {
        let mut memory = Memory::new(1 << 20);
        let address = memory.reserve(10).unwrap();
        assert!(
            fault(memory.store(address, 0, [1; 4])).contains("not allocated"),
            "before its stream comes to it"
        );
        memory.begin(address);
        assert!(fault(memory.load::<4>(address, 0)).contains("before it is written"));
        memory.write(address, &[7; 8]).unwrap();
        assert_eq!(memory.load(address + 4, 0).unwrap(), [7; 4]);
        assert_eq!(memory.bytes(address, 8).unwrap(), [7; 8]);
        assert!(fault(memory.bytes(address, 10)).contains("cannot be read"));
        assert!(fault(memory.load::<4>(address + 2, 0)).contains("not aligned"));
        assert!(fault(memory.store(address + 12, 0, [1; 4])).contains("not allocated"), "behind its end");
        assert!(fault(memory.load::<4>(0, 0)).contains("not on the device"));
        memory.end(address).unwrap();
        assert!(fault(memory.load::<4>(address, 0)).contains("not allocated"));
        assert!(fault(memory.end(address)).contains("or twice"));
    }

    #[test]
    fn memory_has_an_end() {
        let mut memory = Memory::new(1 << 20);
        let first = memory.reserve(600 << 10).unwrap();
        assert!(memory.reserve(600 << 10).is_none());
        memory.release(first).unwrap();
        assert!(memory.reserve(600 << 10).is_some());
    }

    #[test]
    fn halves_are_rounded_to_the_nearest() {
        let mut memory = Memory::new(1 << 20);
        let address = memory.reserve(10).unwrap();
        memory.begin(address);
        let above = f32::from_bits(0x3f80_8001);
        memory.write_halves(address, &[1.0, above, f32::NAN, f32::INFINITY]).unwrap();
        let found = memory.halves(address, 4).unwrap();
        assert_eq!([found[0], found[1], found[3]], [1.0, 1.007_812_5, f32::INFINITY]);
        assert!(found[2].is_nan());
    }
}
