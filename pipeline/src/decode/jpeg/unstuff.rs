//! Removes stuffed zeros and restart markers from entropy-coded data, in one fast pass before decoding.

use super::super::free_oversized;
use super::entropy::Damage;

/// A scan's data, one segment after the other.
#[derive(Debug, Default)]
pub(super) struct Unstuffed {
    /// Grows as files need it; what lies beyond the last segment is left over from other files.
    bytes: Vec<u8>,
    /// Where each segment ends.
    ends: Vec<usize>,
}

/// Bytes that are looked at together.
const CHUNK: usize = 32;

/// Zeros behind the last segment, as many as are loaded at once.
const PADDING: usize = 8;

impl Unstuffed {
    /// Reads the scan that `scan` begins with; gives what follows it, from its marker on.
    pub(super) fn fill<'a>(&mut self, scan: &'a [u8]) -> Result<&'a [u8], Damage> {
        self.ends.clear();
        if self.bytes.len() < scan.len() + PADDING {
            self.bytes.resize(scan.len() + PADDING, 0);
        }
        let (mut from, mut to) = (0, 0);
        loop {
            let plain = self.copy_plain(&scan[from..], to);
            (from, to) = (from + plain, to + plain);
            let Some(marker) = scan.get(from + 1) else { break };
            match marker {
                0 => {
                    self.bytes[to] = 0xff;
                    (from, to) = (from + 2, to + 1);
                }
                0xff => from += 1, // A fill byte.
                0xd0..=0xd7 => {
                    if usize::from(marker & 7) != self.ends.len() % 8 {
                        return Err(Damage::Restart);
                    }
                    self.ends.push(to);
                    from += 2;
                }
                _ => break,
            }
        }
        self.ends.push(to);
        self.bytes[to..to + PADDING].fill(0);
        Ok(&scan[from..])
    }

    /// Copies up to the next 0xff byte; gives the number of bytes copied.
    #[inline(always)]
    fn copy_plain(&mut self, scan: &[u8], to: usize) -> usize {
        let out = &mut self.bytes[to..to + scan.len()];
        let (chunks, _) = scan.as_chunks::<CHUNK>();
        let mut done = 0;
        for (chunk, out) in chunks.iter().zip(out.as_chunks_mut().0) {
            *out = *chunk;
            if chunk.iter().fold(false, |found, &byte| found | (byte == 0xff)) {
                break;
            }
            done += CHUNK;
        }
        let rest = &scan[done..];
        let plain = rest.iter().position(|&byte| byte == 0xff).unwrap_or(rest.len());
        out[done..done + plain].copy_from_slice(&rest[..plain]);
        done + plain
    }

    /// The bytes from a segment's start on, to zeros behind the last, and its length. `None` if there is no such segment.
    pub(super) fn segment(&self, number: usize) -> Option<(&[u8], usize)> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some((&self.bytes[start..self.ends.last()? + PADDING], end - start))
    }

    /// Frees buffers that are too large to be kept for a file of `file` bytes.
    pub(super) fn free_oversized(&mut self, file: usize, kept_bytes: usize) {
        free_oversized(&mut self.bytes, file, kept_bytes);
        // Each marker takes two bytes of the file.
        free_oversized(&mut self.ends, file / 2 * size_of::<usize>(), kept_bytes);
    }

    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 2] {
        [self.bytes.capacity(), self.ends.capacity() * size_of::<usize>()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::ViewRng;

    #[test]
    fn stuffing_restarts_and_fill_bytes_are_taken_out() {
        let mut unstuffed = Unstuffed::default();
        let scan = [1, 0xff, 0, 2, 0xff, 0xd0, 3, 0xff, 0xff, 0xd1, 0xff, 0xd9, 9];
        assert_eq!(unstuffed.fill(&scan), Ok(&[0xff, 0xd9, 9][..]));
        let segments: Vec<&[u8]> =
            (0..).map_while(|i| unstuffed.segment(i)).map(|(all, n)| &all[..n]).collect();
        assert_eq!(segments, [&[1, 0xff, 2][..], &[3], &[]]);
        assert_eq!(unstuffed.fill(&[1, 0xff, 0xd1]), Err(Damage::Restart));
        assert_eq!(unstuffed.fill(&[1, 0xff]), Ok(&[0xff][..]));
        assert_eq!(unstuffed.fill(&[1, 2]), Ok(&[][..]));
        assert_eq!(unstuffed.fill(&[1, 0xff, 0xda]), Ok(&[0xff, 0xda][..]));
    }

    #[test]
    fn every_length_comes_back() {
        let mut unstuffed = Unstuffed::default();
        for length in 0..200 {
            let mut rng = ViewRng::new(2, 0, length, 0);
            let data: Vec<u8> = (0..length).map(|_| [0xff, 7, 0, 200][rng.below(4) as usize]).collect();
            let stuffed = data.iter().flat_map(|&byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] });
            let scan: Vec<u8> = stuffed.chain([0xff, 0xd9]).collect();
            assert_eq!(unstuffed.fill(&scan), Ok(&[0xff, 0xd9][..]));
            let (found, count) = unstuffed.segment(0).unwrap();
            assert_eq!(found[..count], data);
        }
    }
}
