//! An image with its padding, laid out for products.

/// Zeros around an image, channel after channel. Columns that lie `phases` apart are neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) channels: usize,
    /// Height and width of the image.
    pub(super) height: usize,
    pub(super) width: usize,
    /// Rows and columns of zeros before the image.
    pub(super) before: usize,
    /// Height and width with the padding; what lies beyond is left out.
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// The stride of windows.
    pub(super) phases: usize,
}

impl Frame {
    /// Values of the frame.
    pub(super) fn len(&self) -> usize {
        self.channels * self.rows * self.row_len()
    }

    /// Values of the image.
    pub(super) fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Whether the frame is the image as it is.
    pub(super) fn is_image(&self) -> bool {
        (self.before, self.rows, self.columns, self.phases) == (0, self.height, self.width, 1)
    }

    /// Values of one row of one channel.
    pub(super) fn row_len(&self) -> usize {
        self.phases * self.columns.div_ceil(self.phases)
    }

    /// Where the value at a row and column, counted with the padding, is.
    pub(super) fn at(&self, channel: usize, row: usize, column: usize) -> usize {
        let phase = column % self.phases * self.columns.div_ceil(self.phases);
        (channel * self.rows + row) * self.row_len() + phase + column / self.phases
    }

    /// Writes the frame of `image`.
    #[inline(always)]
    pub(super) fn fill(&self, image: &[f32], frame: &mut [f32]) {
        let plane = self.rows * self.row_len();
        for (image, frame) in image.chunks_exact(self.height * self.width).zip(frame.chunks_exact_mut(plane))
        {
            for (row, to) in frame.chunks_exact_mut(self.row_len()).enumerate() {
                let inside = row.checked_sub(self.before).filter(|row| *row < self.height);
                let Some(row) = inside else {
                    to.fill(0.0);
                    continue;
                };
                let from = &image[row * self.width..][..self.width];
                if self.phases == 1 {
                    let (zeros, to) = to.split_at_mut(self.before);
                    let (to, beyond) = to.split_at_mut(self.width.min(to.len()));
                    zeros.fill(0.0);
                    to.copy_from_slice(&from[..to.len()]);
                    beyond.fill(0.0);
                } else {
                    self.fill_phases(from, to);
                }
            }
        }
    }

    #[inline(always)]
    fn fill_phases(&self, from: &[f32], to: &mut [f32]) {
        for (phase, to) in to.chunks_exact_mut(to.len() / self.phases).enumerate() {
            // The first column of this phase that is on the image.
            let skip = self.before.saturating_sub(phase).div_ceil(self.phases).min(to.len());
            let first = phase + skip * self.phases - self.before;
            let (zeros, to) = to.split_at_mut(skip);
            let count = self.width.saturating_sub(first).div_ceil(self.phases).min(to.len());
            let (to, beyond) = to.split_at_mut(count);
            zeros.fill(0.0);
            let pixels = from.get(first..).unwrap_or_default().iter().step_by(self.phases);
            to.iter_mut().zip(pixels).for_each(|(to, from)| *to = *from);
            beyond.fill(0.0);
        }
    }
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
        let plane = self.size * self.size;
        for (y, row) in frame.chunks_exact_mut(self.padded * self.channels).enumerate() {
            if !inside.contains(&y) {
                row.fill(0.0);
                continue;
            }
            let (zeros, row) = row.split_at_mut(inside.start * self.channels);
            let (pixels, beyond) = row.split_at_mut(inside.len() * self.channels);
            zeros.fill(0.0);
            beyond.fill(0.0);
            let from = (y - self.before) * self.size;
            for (x, pixel) in pixels.chunks_exact_mut(self.channels).enumerate() {
                let values = image[from + x..].iter().step_by(plane);
                pixel.iter_mut().zip(values).for_each(|(to, value)| *to = *value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_the_image_and_zeros() {
        let image: Vec<f32> = (1..=2 * 5 * 5).map(|v| v as f32).collect();
        let pixel = |c: usize, row: usize, column: usize, before: usize| {
            let inside = |v: usize| v.checked_sub(before).filter(|v| *v < 5);
            inside(row).zip(inside(column)).map_or(0.0, |(y, x)| image[(c * 5 + y) * 5 + x])
        };
        for (before, padded) in [(0, 5), (1, 7), (1, 5), (2, 9), (3, 11), (0, 3)] {
            for phases in 1..=3 {
                let size = padded;
                let frame =
                    Frame { channels: 2, height: 5, width: 5, before, rows: size, columns: size, phases };
                let mut values = vec![f32::NAN; frame.len()];
                frame.fill(&image, &mut values);
                assert!(values.iter().all(|v| !v.is_nan()));
                for (c, row, column) in grid(2, size) {
                    assert_eq!(values[frame.at(c, row, column)], pixel(c, row, column, before), "{frame:?}");
                }
            }
            let frame = PixelFrame { channels: 2, size: 5, before, padded };
            let mut values = vec![f32::NAN; frame.len()];
            frame.fill(&image, &mut values);
            for (c, row, column) in grid(2, padded) {
                assert_eq!(values[frame.at(row, column) + c], pixel(c, row, column, before), "{frame:?}");
            }
        }
    }

    fn grid(channels: usize, size: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..channels * size * size).map(move |i| (i / (size * size), i / size % size, i % size))
    }
}
