//! A reader of the bits of entropy-coded data, most significant first.

/// Reads a segment of entropy-coded data without its stuffed zeros, so that a refill has no byte to look at.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    /// The segment and what follows it: up to seven bytes beyond the segment are loaded.
    data: &'a [u8],
    segment_bits: usize,
    /// Where the next refill reads.
    at: usize,
    /// The next bits, from the top. Below the `count` valid ones stand some that the next refill brings again.
    window: u64,
    /// Of this number only the low six bits count, so that nothing needs to be masked between one code and the next.
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits of the first `length` bytes of `data`; beyond the end of `data` there are zeros.
    pub(super) fn new(data: &'a [u8], length: usize) -> Self {
        Self { data, segment_bits: 8 * length, at: 0, window: 0, count: 0 }
    }

    /// Makes at least 56 bits valid.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.data.get(self.at..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; 8]);
        self.window |= u64::from_be_bytes(*next) >> (self.count & 63);
        self.at += (!self.count & 63) as usize / 8;
        self.count |= 56;
    }

    /// The next bits, from the top.
    #[inline(always)]
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// Goes on by the low six bits of `bits`, which must be valid.
    #[inline(always)]
    pub(super) fn consume(&mut self, bits: u32) {
        self.window <<= bits & 63;
        self.count = self.count.wrapping_sub(bits);
    }

    /// Whether more was consumed than the segment holds.
    pub(super) fn overrun(&self) -> bool {
        8 * self.at - (self.count & 63) as usize > self.segment_bits
    }
}
