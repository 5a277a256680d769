//! Aligned memory for the pixels of one group of views of a batch.

/// Zeroed bytes that begin at a multiple of 64: a cache line, and what JAX asks of memory that it is to take as it is.
pub(super) struct AlignedBytes {
    /// Some bytes more than are used. Large ones come zeroed from the system and cost nothing until they are written.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

/// Bytes.
pub(super) const ALIGNMENT: usize = 64;

impl AlignedBytes {
    pub(super) fn new(len: usize) -> Self {
        let bytes = vec![0; len + ALIGNMENT - 1];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, start, len }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_zeroed() {
        for len in [1, 63, 64, 1000, 1 << 20] {
            let mut memory = AlignedBytes::new(len);
            assert_eq!(memory.as_slice().as_ptr().addr() % ALIGNMENT, 0);
            assert_eq!(memory.as_mut_slice(), vec![0; len]);
        }
    }
}
