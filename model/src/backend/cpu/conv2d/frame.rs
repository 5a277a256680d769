//! Images with their padding, laid out so that the values under a filter tap of neighbouring windows are contiguous.

use crate::backend::cpu::transpose::transpose;

/// Zeros around some images, copied so that the windows' pixels under any one tap are a run.
///
/// `padded(row, column)` counts with the padding. The value under the windows' column `j` at the shift `s` (of a
/// filter's column) is `padded(row, j stride + s)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// How many images share the frame.
    pub(super) images: usize,
    pub(super) channels: usize,
    /// Height and width of an image.
    pub(super) height: usize,
    pub(super) width: usize,
    /// Rows and columns of zeros before an image.
    pub(super) before: usize,
    /// Height with the padding; what lies beyond is left out.
    pub(super) rows: usize,
    /// Windows in a row.
    pub(super) columns: usize,
    /// Distance between neighbouring windows.
    pub(super) stride: usize,
    /// The first shift and their number.
    pub(super) shifts: (usize, usize),
    pub(super) layout: Layout,
}

/// How a frame's values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Padded rows, which all shifts share; the stride is 1. Runs end where rows end.
    Padded,
    /// A copy for each shift; runs go on from row to row of an image.
    Shifted,
    /// A copy for each shift; runs go on from image to image, then from row to row.
    Interleaved,
}

impl Frame {
    /// Values of the frame.
    pub(super) fn len(&self) -> usize {
        self.images * self.copies() * self.channels * self.plane_len()
    }

    /// Where the run under the windows of an image begins, at a shift and a padded row.
    #[inline(always)]
    pub(super) fn at(&self, image: usize, shift: usize, channel: usize, row: usize) -> usize {
        let copy = shift - self.shifts.0;
        let row = row % self.stride * self.phase_rows() + row / self.stride;
        match self.layout {
            Layout::Padded => {
                (image * self.channels + channel) * self.plane_len() + row * self.row_len() + copy
            }
            Layout::Shifted => {
                let plane = (image * self.copies() + copy) * self.channels + channel;
                plane * self.plane_len() + row * self.columns
            }
            Layout::Interleaved => {
                let plane = (copy * self.channels + channel) * self.plane_len() * self.images;
                plane + (row * self.images + image) * self.columns
            }
        }
    }

    /// Values between neighbouring rows of windows.
    pub(super) fn row_step(&self) -> usize {
        if self.layout == Layout::Interleaved { self.images * self.columns } else { self.row_len() }
    }

    #[inline(always)]
    fn copies(&self) -> usize {
        if matches!(self.layout, Layout::Shifted | Layout::Interleaved) { self.shifts.1 } else { 1 }
    }

    #[inline(always)]
    fn row_len(&self) -> usize {
        if self.layout == Layout::Padded { self.columns + self.shifts.1 - 1 } else { self.columns }
    }

    /// Rows of one residue modulo the stride, which are neighbours.
    #[inline(always)]
    fn phase_rows(&self) -> usize {
        self.rows.div_ceil(self.stride)
    }

    /// Values of one channel of one image in one copy.
    #[inline(always)]
    fn plane_len(&self) -> usize {
        self.stride * self.phase_rows() * self.row_len()
    }

    /// Writes the frame of `images`; `row` is scratch.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[f32], row: &mut Vec<f32>, frame: &mut [f32]) {
        let first = self.shifts.0;
        // A padded row, up to the last pixel of the last window.
        let padded = (self.columns - 1) * self.stride + first + self.shifts.1;
        row.clear();
        row.resize(padded.max(self.before + self.width), 0.0);
        let copies = if self.layout == Layout::Padded { 1 } else { self.shifts.1 };
        let (row_len, copy_len) =
            (self.row_len(), self.at(0, first + copies - 1, 0, 0) / (copies - 1).max(1));
        for (i, plane) in images.chunks_exact(self.height * self.width).enumerate() {
            let (image, channel) = (i / self.channels, i % self.channels);
            for y in 0..self.rows {
                let inside = y.checked_sub(self.before).filter(|y| *y < self.height);
                if let Some(y) = inside {
                    copy(&mut row[self.before..][..self.width], &plane[y * self.width..][..self.width]);
                }
                let at = self.at(image, first, channel, y);
                for copy in 0..copies {
                    let shift = first + copy;
                    let to = &mut frame[at + copy * copy_len..][..row_len];
                    match inside {
                        None => to.fill(0.0),
                        Some(_) => take(&row[shift..], self.stride, to),
                    }
                }
            }
        }
    }
}

/// Copies every `stride`-th value.
#[inline(always)]
fn take(from: &[f32], stride: usize, to: &mut [f32]) {
    match stride {
        1 => copy(to, &from[..to.len()]),
        2 => {
            let (last, most) = to.split_last_mut().expect("a row has windows");
            let (pairs, _) = from[..2 * most.len()].as_chunks::<2>();
            most.iter_mut().zip(pairs).for_each(|(to, [from, _])| *to = *from);
            *last = from[2 * most.len()];
        }
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
    }
}

/// A copy of few values, without a call.
#[inline(always)]
fn copy(to: &mut [f32], from: &[f32]) {
    let (to, to_rest) = to.as_chunks_mut::<4>();
    let (from, from_rest) = from.as_chunks::<4>();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// Zeros around a square image, pixel after pixel: the channels of a pixel are neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct PixelFrame {
    pub(super) channels: usize,
    /// Height and width of the image.
    pub(super) size: usize,
    /// Rows and columns of zeros before the image.
    pub(super) before: usize,
    /// Height and width with the padding; what lies beyond is left out.
    pub(super) padded: usize,
}

impl PixelFrame {
    /// Values of the frame.
    pub(super) fn len(&self) -> usize {
        self.channels * self.padded * self.padded
    }

    /// Where the first channel of the pixel at a row and column, counted with the padding, is.
    pub(super) fn at(&self, row: usize, column: usize) -> usize {
        (row * self.padded + column) * self.channels
    }

    /// Writes the frame of `image`, whose channels are planes.
    #[inline(always)]
    pub(super) fn fill(&self, image: &[f32], frame: &mut [f32]) {
        let inside = self.before..(self.before + self.size).min(self.padded);
        for (y, row) in frame.chunks_exact_mut(self.padded * self.channels).enumerate() {
            if !inside.contains(&y) {
                row.fill(0.0);
                continue;
            }
            let (zeros, row) = row.split_at_mut(inside.start * self.channels);
            let (pixels, beyond) = row.split_at_mut(inside.len() * self.channels);
            zeros.fill(0.0);
            beyond.fill(0.0);
            let image = &image[(y - self.before) * self.size..];
            transpose(image, self.size * self.size, self.channels, inside.len(), pixels, self.channels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 11;

    fn pixels(images: usize) -> Vec<f32> {
        (1..=images * 9 * SIZE * SIZE).map(|v| v as f32).collect()
    }

    /// The pixel at a row and column that count with `before` zeros.
    fn padded(values: &[f32], plane: usize, row: usize, column: usize, before: usize) -> f32 {
        let inside = |v: usize| v.checked_sub(before).filter(|v| *v < SIZE);
        inside(row).zip(inside(column)).map_or(0.0, |(y, x)| values[(plane * SIZE + y) * SIZE + x])
    }

    #[test]
    fn runs_hold_the_windows_pixels() {
        let values = pixels(2);
        for (before, kernel, stride) in [(0, 1, 1), (1, 3, 1), (1, 3, 2), (3, 7, 2), (0, 1, 2), (2, 5, 3)] {
            let columns = (SIZE + 2 * before - kernel) / stride + 1;
            for layout in [Layout::Padded, Layout::Shifted, Layout::Interleaved] {
                let suits = match layout {
                    Layout::Padded => stride == 1,
                    Layout::Shifted | Layout::Interleaved => true,
                };
                if !suits {
                    continue;
                }
                let frame = Frame {
                    images: 2,
                    channels: 9,
                    height: SIZE,
                    width: SIZE,
                    before,
                    rows: (columns - 1) * stride + kernel,
                    columns,
                    stride,
                    shifts: (0, kernel),
                    layout,
                };
                let mut found = vec![f32::NAN; frame.len()];
                frame.fill(&values, &mut Vec::new(), &mut found);
                for i in 0..2 * 9 * kernel * kernel * columns * columns {
                    let (i, column) = (i / columns, i % columns);
                    let (i, row) = (i / columns, i % columns);
                    let (i, ky) = (i / kernel, i % kernel);
                    let (plane, kx) = (i / kernel, i % kernel);
                    let start = frame.at(plane / 9, kx, plane % 9, ky) + row * frame.row_step();
                    let expected = padded(&values, plane, row * stride + ky, column * stride + kx, before);
                    assert_eq!(found[start + column], expected, "{frame:?}");
                }
            }
        }
    }

    #[test]
    fn pixel_frames_hold_the_image_and_zeros() {
        let image = pixels(1);
        for (before, size) in [(0, 11), (1, 13), (1, 11), (3, 17), (0, 5)] {
            let frame = PixelFrame { channels: 9, size: SIZE, before, padded: size };
            let mut found = vec![f32::NAN; frame.len()];
            frame.fill(&image, &mut found);
            for i in 0..9 * size * size {
                let (channel, row, column) = (i / (size * size), i / size % size, i % size);
                let expected = padded(&image, channel, row, column, before);
                assert_eq!(found[frame.at(row, column) + channel], expected, "{frame:?}");
            }
        }
    }
}
