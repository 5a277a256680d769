//! One direction of a window, in the pixels of the image as it was decoded.

use std::ops::Range;

use crate::augment::{Interpolation, Window};
use crate::image::Region;

/// One direction of a window: which stretch of the decoded image is resampled to how many positions, and which of these
/// the view shows.
#[derive(Debug, Clone)]
pub(in crate::augment) struct Axis {
    /// First pixel that the filter may see, in the decoded image.
    pub(super) origin: usize,
    /// Pixels that the filter may see.
    pub(super) pixels: usize,
    /// Where the stretch begins, from `origin`: 0 unless the image was reduced.
    start: f64,
    /// Pixels of the stretch for each position.
    scale: f64,
    pub(super) scaled: usize,
    pub(super) shown: Range<usize>,
    pub(super) interpolation: Interpolation,
}

impl Axis {
    /// The columns and rows of a window of an image decoded at 1/`denominator` of its size.
    pub(in crate::augment) fn of_window(window: &Window, denominator: usize) -> (Self, Self) {
        let Window { source, scaled_width, scaled_height, interpolation, .. } = *window;
        let Region { top, left, height, width } = source;
        let axis = |first: usize, length: usize, scaled, shown: usize| {
            let (origin, end) = (first / denominator, (first + length).div_ceil(denominator));
            let start = (first % denominator) as f64 / denominator as f64;
            let scale = length as f64 / denominator as f64 / scaled as f64;
            let shown = shown..shown + window.size;
            Self { origin, pixels: end - origin, start, scale, scaled, shown, interpolation }
        };
        (axis(left, width, scaled_width, window.left), axis(top, height, scaled_height, window.top))
    }

    /// The pixels of the decoded image that the view depends on.
    pub(in crate::augment) fn seen(&self) -> Range<usize> {
        let first = self.taps(self.shown.start).start;
        let end = self.taps(self.shown.end - 1).end;
        self.origin + first..self.origin + end
    }

    /// How many times as wide the filter is because the axis shrinks.
    pub(super) fn stretch(&self) -> f64 {
        self.scale.max(1.0)
    }

    pub(super) fn center(&self, position: usize) -> f64 {
        self.start + (position as f64 + 0.5) * self.scale
    }

    /// The pixels, from `origin`, under the filter of one position (Resample.c, `precompute_coeffs`).
    pub(super) fn taps(&self, position: usize) -> Range<usize> {
        let (center, support) = (self.center(position), self.interpolation.support() * self.stretch());
        let first = (center - support + 0.5).max(0.0) as usize;
        first..((center + support + 0.5) as usize).min(self.pixels)
    }
}
