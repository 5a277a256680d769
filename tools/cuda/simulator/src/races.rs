//! Sees two threads use one value, of which one writes it, with nothing that orders them.

use std::ops::Range;

use memmap2::MmapMut;

use crate::memory::{Fault, give_back, zeros};

/// A thread, numbered in whatever has no order: a launch, or a block between two barriers.
pub type Thread = u32;

/// All threads that change a value atomically, which may do so at once.
pub const ATOMIC: Thread = u32::MAX;

/// More than one thread.
const MANY: Thread = u32::MAX - 1;

/// Who last read and wrote each value, and in which launch or between which barriers.
pub struct Races {
    read: MmapMut,
    written: MmapMut,
    now: u32,
}

impl Races {
    /// For so many values.
    pub fn new(values: usize) -> Self {
        let tags = || zeros((values * size_of::<u64>()).max(1));
        Self { read: tags(), written: tags(), now: 0 }
    }

    /// What comes now is ordered behind all that was.
    pub fn next(&mut self) {
        self.now += 1;
    }

    /// A thread reads a value.
    #[inline]
    pub fn read(&mut self, value: usize, thread: Thread) -> Result<(), Fault> {
        if self.is_anothers(get(&self.written, value), thread) {
            return Fault::new("another thread writes this value, before or after");
        }
        let reader = if self.is_anothers(get(&self.read, value), thread) { MANY } else { thread };
        let tag = self.tag(reader);
        put(&mut self.read, value, tag);
        Ok(())
    }

    /// A thread writes a value.
    #[inline]
    pub fn write(&mut self, value: usize, thread: Thread) -> Result<(), Fault> {
        if self.is_anothers(get(&self.written, value), thread) {
            return Fault::new("another thread writes this value too");
        }
        if self.is_anothers(get(&self.read, value), thread) {
            return Fault::new("another thread reads this value, before or after");
        }
        let tag = self.tag(thread);
        put(&mut self.written, value, tag);
        Ok(())
    }

    /// Gives memory for some values back to the system, which nothing uses any more.
    pub fn forget(&mut self, values: Range<usize>) {
        let bytes = values.start * size_of::<u64>()..values.end * size_of::<u64>();
        give_back(&mut self.read, bytes.clone());
        give_back(&mut self.written, bytes);
    }

    fn tag(&self, thread: Thread) -> u64 {
        u64::from(self.now) << 32 | u64::from(thread)
    }

    /// Whether a tag is of now, and of another thread.
    fn is_anothers(&self, tag: u64, thread: Thread) -> bool {
        tag >> 32 == u64::from(self.now) && tag as u32 != thread
    }
}

fn get(tags: &MmapMut, value: usize) -> u64 {
    u64::from_le_bytes(tags.as_chunks().0[value])
}

fn put(tags: &mut MmapMut, value: usize, tag: u64) {
    tags.as_chunks_mut().0[value] = tag.to_le_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_what_none_writes_and_write_what_none_shares() {
        let mut races = Races::new(4);
        races.next();
        (0..3).for_each(|thread| races.read(0, thread).unwrap());
        assert!(races.write(0, 1).is_err(), "others read it");
        races.write(1, 5).unwrap();
        races.read(1, 5).unwrap();
        assert!(races.write(1, 6).is_err());
        assert!(races.read(1, 6).is_err());
        races.write(2, ATOMIC).unwrap();
        races.write(2, ATOMIC).unwrap();
        assert!(races.read(2, 0).is_err());
        races.next();
        races.write(1, 6).unwrap();
        races.read(2, 0).unwrap();
    }
}
