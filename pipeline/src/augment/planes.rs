//! A view while it is worked on: one plane of bytes for each channel.

use std::mem;

use super::cpu::{Cpu, for_each_cpu};
use crate::image::interleave;

/// Red, green and blue planes of the same size, one after another.
///
/// Lanes of one channel lie side by side, so that the operations are straight loops, and normalising needs planes anyway.
#[derive(Debug, Default)]
pub(super) struct Planes {
    bytes: Vec<u8>,
}

impl Planes {
    /// Makes room for planes of `pixels` pixels, whose values are left to who writes them.
    pub(super) fn resize(&mut self, pixels: usize) {
        self.bytes.resize(3 * pixels, 0);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The three planes.
    pub(super) fn split(&self) -> [&[u8]; 3] {
        let pixels = self.bytes.len() / 3;
        let (r, rest) = self.bytes.split_at(pixels);
        let (g, b) = rest.split_at(pixels);
        [r, g, b]
    }

    /// The three planes, to be changed.
    pub(super) fn split_mut(&mut self) -> [&mut [u8]; 3] {
        let pixels = self.bytes.len() / 3;
        let (r, rest) = self.bytes.split_at_mut(pixels);
        let (g, b) = rest.split_at_mut(pixels);
        [r, g, b]
    }

    /// Moves the bytes to `other`. Those of the planes are then left to who writes them.
    pub(super) fn move_to(&mut self, other: &mut Vec<u8>) {
        other.resize(self.bytes.len(), 0);
        mem::swap(&mut self.bytes, other);
    }

    /// Exchanges left and right of planes `width` wide.
    pub(super) fn flip_columns(&mut self, width: usize) {
        self.bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }

    /// Exchanges above and below of planes `width` wide.
    pub(super) fn flip_rows(&mut self, width: usize) {
        for plane in self.split_mut() {
            let mut rows = plane.chunks_exact_mut(width);
            while let (Some(above), Some(below)) = (rows.next(), rows.next_back()) {
                above.swap_with_slice(below);
            }
        }
    }

    /// Writes interleaved pixels.
    pub(super) fn interleave(&self, cpu: Cpu, out: &mut [u8]) {
        assert_eq!(out.len(), self.bytes.len(), "a view is size x size x 3");
        interleave_bytes(cpu, self.split(), out);
    }
}

for_each_cpu! {
    fn interleave_bytes(planes: [&[u8]; 3], out: &mut [u8]) {
        interleave(planes, out);
    }
}

#[cfg(test)]
impl Planes {
    pub(super) fn of_interleaved(pixels: &[u8]) -> Self {
        let bytes = (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied()).collect();
        Self { bytes }
    }

    pub(super) fn interleaved(&self) -> Vec<u8> {
        let mut out = vec![0; self.bytes.len()];
        self.interleave(Cpu::best(Default::default()), &mut out);
        out
    }
}
