//! The input rows of each residue of a convolution's stride, for the input gradient.

use std::ops::Range;

use crate::backend::Conv2dGeometry;

/// Output row `m` met tap `k` of input row `stride m + k - pad`: the input rows of each residue have taps of their own. Columns
/// likewise.
#[derive(Clone, Copy)]
pub(in super::super) struct Residues<'a>(&'a Conv2dGeometry);

impl<'a> Residues<'a> {
    pub(in super::super) fn of(g: &'a Conv2dGeometry) -> Self {
        Self(g)
    }

    /// Output rows that precede the first that meets an input row, at most.
    pub(in super::super) fn reach(self) -> usize {
        self.0.kernel.div_ceil(self.0.stride) - 1
    }

    /// Taps of a residue.
    pub(in super::super) fn taps(self, residue: usize) -> usize {
        self.0.kernel.saturating_sub(residue).div_ceil(self.0.stride)
    }

    /// Rows `m` of windows that give the residue's input rows, `stride m + residue - pad`.
    pub(in super::super) fn windows(self, residue: usize) -> Range<usize> {
        let Conv2dGeometry { in_size, stride, pad, .. } = *self.0;
        let end = (in_size + pad).saturating_sub(residue).div_ceil(stride);
        pad.saturating_sub(residue).div_ceil(stride).min(end)..end
    }

    /// Those that have taps and windows.
    pub(in super::super) fn used(self) -> impl Iterator<Item = usize> + use<'a> {
        (0..self.0.stride)
            .filter(move |residue| self.taps(*residue) > 0 && !self.windows(*residue).is_empty())
    }

    /// Those of rows with those of columns.
    pub(in super::super) fn pairs(self) -> impl Iterator<Item = [usize; 2]> + use<'a> {
        self.used().flat_map(move |a| self.used().map(move |b| [a, b]))
    }
}
