//! The data between two restart markers, and how far it has been read.

use super::bits::Bits;
use super::entropy::Damage;
use super::header::MOST_COMPONENTS;
use super::unstuff::Unstuffed;

/// One scan's data, read an MCU after the other.
pub(super) struct Segments<'a> {
    data: &'a Unstuffed,
    /// MCUs between restart markers, `usize::MAX` without.
    restart_interval: usize,
    number: usize,
    mcus_left: usize,
    pub(super) now: Segment<'a>,
}

/// A segment of it.
pub(super) struct Segment<'a> {
    pub(super) bits: Bits<'a>,
    /// The last DC coefficient of each component of the scan.
    pub(super) predictions: [i32; MOST_COMPONENTS],
    /// Blocks to come of which a progressive scan codes nothing.
    pub(super) ended: u32,
}

impl<'a> Segments<'a> {
    /// Begins with the segment that has MCU `first`; gives the number of the segment's first MCU, too.
    pub(super) fn new(
        data: &'a Unstuffed,
        restart_interval: usize,
        first: usize,
    ) -> Result<(Self, usize), Damage> {
        let number = first / restart_interval;
        let now = Segment::new(data, number)?;
        let segments = Self { data, restart_interval, number, mcus_left: restart_interval, now };
        Ok((segments, number * restart_interval))
    }

    /// The segment of the next MCU.
    #[inline(always)]
    pub(super) fn next_mcu(&mut self) -> Result<&mut Segment<'a>, Damage> {
        if self.mcus_left == 0 {
            self.check()?;
            self.number += 1;
            self.now = Segment::new(self.data, self.number)?;
            self.mcus_left = self.restart_interval;
        }
        self.mcus_left -= 1;
        Ok(&mut self.now)
    }

    /// An error if more was read than there is.
    pub(super) fn check(&self) -> Result<(), Damage> {
        if self.now.bits.overrun() { Err(Damage::Ended) } else { Ok(()) }
    }
}

impl<'a> Segment<'a> {
    fn new(data: &'a Unstuffed, number: usize) -> Result<Self, Damage> {
        let (data, length) = data.segment(number).ok_or(Damage::Restart)?;
        Ok(Self { bits: Bits::new(data, length), predictions: [0; MOST_COMPONENTS], ended: 0 })
    }
}
