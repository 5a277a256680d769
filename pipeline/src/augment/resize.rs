//! Crop and antialiased bilinear resize, byte for byte as Pillow's `image.crop(box).resize(size, BILINEAR)`.
//!
//! Two separable passes with 22-bit fixed-point weights, rounded to bytes between them (Resample.c). The order of the
//! passes shows in the last bit; it is that of Pillow 13, where earlier versions always began with the horizontal one.

use std::ops::Range;

use super::{CropBox, RgbPart, Window};

/// Bits after the point of a weight: 8 go to the result, 2 are kept against overflow.
const PRECISION_BITS: u32 = 32 - 8 - 2;
const ONE: i32 = 1 << PRECISION_BITS;
const HALF: i32 = ONE / 2;

/// Resizes windows of images, reusing the weights' and the intermediate image's memory.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    horizontal: Filter,
    vertical: Filter,
    between: Vec<u8>,
    sums: Vec<i32>,
}

impl Resizer {
    /// Writes the view of `size` x `size` pixels that `window` shows of an image of which `part` is known.
    pub(super) fn resize(&mut self, part: &RgbPart<'_>, window: &Window, size: usize, view: &mut [u8]) {
        let (columns, rows) = Axis::of_window(window, size, part.denominator);
        let vertical_first = vertical_first(&columns, &rows);
        self.horizontal.plan(&columns);
        self.vertical.plan(&rows);
        let (seen_columns, seen_rows) = (columns.seen(), rows.seen());
        assert!(
            part.left <= seen_columns.start
                && seen_columns.end <= part.left + part.width
                && part.top <= seen_rows.start
                && seen_rows.end <= part.top + part.height,
            "what a window shows lies inside its image"
        );
        let source = seen_rows.map(|y| part.row(y, seen_columns.start, seen_columns.end));
        if vertical_first {
            self.flatten_then_narrow(source, size, view);
        } else {
            self.narrow_then_flatten(source, size, view);
        }
    }

    fn narrow_then_flatten<'a>(
        &mut self,
        source: impl ExactSizeIterator<Item = &'a [u8]>,
        size: usize,
        view: &mut [u8],
    ) {
        self.between.resize(source.len() * size * 3, 0);
        for (row, narrow) in source.zip(self.between.chunks_exact_mut(size * 3)) {
            self.horizontal.narrow_row(row, narrow);
        }
        self.sums.resize(size * 3, 0);
        for (y, out) in view.chunks_exact_mut(size * 3).enumerate() {
            let (first, weights) = self.vertical.taps(y);
            let taps = self.between.chunks_exact(size * 3).skip(first).zip(weights);
            sum_rows(taps, &mut self.sums, out);
        }
    }

    fn flatten_then_narrow<'a>(
        &mut self,
        source: impl Iterator<Item = &'a [u8]> + Clone,
        size: usize,
        view: &mut [u8],
    ) {
        let width = source.clone().next().map_or(0, <[u8]>::len);
        self.sums.resize(width, 0);
        self.between.resize(width, 0);
        for (y, out) in view.chunks_exact_mut(size * 3).enumerate() {
            let (first, weights) = self.vertical.taps(y);
            let taps = source.clone().skip(first).zip(weights);
            sum_rows(taps, &mut self.sums, &mut self.between);
            self.horizontal.narrow_row(&self.between, out);
        }
    }
}

/// Pillow's rule: when the height loses more than twice what the width loses.
fn vertical_first(columns: &Axis, rows: &Axis) -> bool {
    let shrink = |axis: &Axis| axis.pixels as i64 - axis.scaled as i64;
    shrink(rows) > 0 && shrink(rows) > 2 * shrink(columns)
}

/// One direction of a window: which stretch of the decoded image is resampled to how many positions, and which of these
/// the view shows.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// First pixel that the filter may see, in the decoded image.
    origin: usize,
    /// Pixels that the filter may see.
    pixels: usize,
    /// Where the stretch begins, from `origin`: 0 unless the image was reduced.
    start: f64,
    /// Length of the stretch.
    length: f64,
    scaled: usize,
    shown: Range<usize>,
}

impl Axis {
    /// The columns and rows of a window of an image decoded at 1/`denominator` of its size.
    pub(super) fn of_window(window: &Window, size: usize, denominator: usize) -> (Self, Self) {
        let Window { source: CropBox { top, left, height, width }, scaled_width, scaled_height, .. } =
            *window;
        let axis = |first: usize, length: usize, scaled, shown: usize| {
            let (origin, end) = (first / denominator, (first + length).div_ceil(denominator));
            let start = (first % denominator) as f64 / denominator as f64;
            let length = length as f64 / denominator as f64;
            Self { origin, pixels: end - origin, start, length, scaled, shown: shown..shown + size }
        };
        (axis(left, width, scaled_width, window.left), axis(top, height, scaled_height, window.top))
    }

    /// The pixels of the decoded image that the view depends on.
    pub(super) fn seen(&self) -> Range<usize> {
        let first = self.taps(self.shown.start).start;
        let end = self.taps(self.shown.end - 1).end;
        self.origin + first..self.origin + end
    }

    fn scale(&self) -> f64 {
        self.length / self.scaled as f64
    }

    /// The triangle's half width, stretched when the axis shrinks.
    fn support(&self) -> f64 {
        self.scale().max(1.0)
    }

    fn center(&self, position: usize) -> f64 {
        self.start + (position as f64 + 0.5) * self.scale()
    }

    /// The pixels, from `origin`, under the triangle of one position (Resample.c, `precompute_coeffs`).
    fn taps(&self, position: usize) -> Range<usize> {
        let (center, support) = (self.center(position), self.support());
        let first = (center - support + 0.5).max(0.0) as usize;
        first..((center + support + 0.5) as usize).min(self.pixels)
    }
}

/// One output row: the weighted sum of a few rows.
fn sum_rows<'p, 'w>(taps: impl Iterator<Item = (&'p [u8], &'w i32)>, sums: &mut [i32], out: &mut [u8]) {
    sums.fill(HALF);
    for (row, &weight) in taps {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += i32::from(value) * weight;
        }
    }
    for (out, &sum) in out.iter_mut().zip(&*sums) {
        *out = to_byte(sum);
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The source positions and weights of each position that is shown, along one axis.
#[derive(Debug, Default)]
struct Filter {
    /// First source position of each shown position, counted from the first one that is seen, and where its weights end
    /// in `weights`.
    spans: Vec<(usize, usize)>,
    weights: Vec<i32>,
    exact: Vec<f64>,
}

impl Filter {
    /// The triangle filter along `axis` (Resample.c, `precompute_coeffs` and `normalize_coeffs_8bpc`).
    fn plan(&mut self, axis: &Axis) {
        let inverse_support = 1.0 / axis.support();
        let seen = axis.taps(axis.shown.start).start;
        self.spans.clear();
        self.weights.clear();
        for position in axis.shown.clone() {
            let (center, taps) = (axis.center(position), axis.taps(position));
            self.exact.clear();
            self.exact.extend(taps.clone().map(|x| {
                let distance = (x as f64 - center + 0.5) * inverse_support;
                (1.0 - distance.abs()).max(0.0)
            }));
            let total: f64 = self.exact.iter().sum();
            self.weights.extend(self.exact.iter().map(|w| (0.5 + w / total * f64::from(ONE)) as i32));
            self.spans.push((taps.start - seen, self.weights.len()));
        }
    }

    /// First source position of an output position, and the weights from there on.
    fn taps(&self, position: usize) -> (usize, &[i32]) {
        let begin = if position == 0 { 0 } else { self.spans[position - 1].1 };
        let (first, end) = self.spans[position];
        (first, &self.weights[begin..end])
    }

    fn narrow_row(&self, row: &[u8], out: &mut [u8]) {
        let (row, out) = (row.as_chunks::<3>().0, out.as_chunks_mut::<3>().0);
        let mut begin = 0;
        for (&(first, end), out) in self.spans.iter().zip(out) {
            let weights = &self.weights[begin..end];
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[first..first + weights.len()].iter().zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(value) * weight;
                }
            }
            *out = sums.map(to_byte);
            begin = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::RgbImage;

    impl Resizer {
        pub(in crate::augment) fn capacities(&self) -> [usize; 6] {
            let Self { horizontal, vertical, between, sums } = self;
            let [h, v] =
                [horizontal, vertical].map(|filter| [filter.weights.capacity(), filter.exact.capacity()]);
            [h[0], h[1], v[0], v[1], between.capacity(), sums.capacity()]
        }
    }

    fn resized(image: &RgbImage<'_>, source: CropBox, size: usize) -> Vec<u8> {
        let mut view = vec![0; size * size * 3];
        let window = Window { source, scaled_width: size, scaled_height: size, top: 0, left: 0 };
        Resizer::default().resize(&(*image).into(), &window, size, &mut view);
        view
    }

    #[test]
    fn the_same_size_copies() {
        let pixels: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let image = RgbImage { width: 8, height: 8, pixels: &pixels };
        let whole = CropBox { top: 0, left: 0, height: 8, width: 8 };
        assert_eq!(resized(&image, whole, 8), pixels);
    }

    #[test]
    fn pixels_outside_the_box_are_not_seen() {
        let mut pixels = vec![255; 9 * 9 * 3];
        for y in 3..6 {
            pixels[(y * 9 + 3) * 3..(y * 9 + 6) * 3].fill(10);
        }
        let image = RgbImage { width: 9, height: 9, pixels: &pixels };
        let middle = CropBox { top: 3, left: 3, height: 3, width: 3 };
        for size in [1, 2, 3, 7] {
            assert!(resized(&image, middle, size).iter().all(|&value| value == 10));
        }
    }

    #[test]
    fn one_pixel_fills_the_view() {
        let image = RgbImage { width: 1, height: 1, pixels: &[1, 2, 3] };
        let whole = CropBox { top: 0, left: 0, height: 1, width: 1 };
        assert_eq!(resized(&image, whole, 4), [1, 2, 3].repeat(16));
    }

    #[test]
    #[should_panic(expected = "inside its image")]
    fn a_window_of_another_image_is_refused() {
        let image = RgbImage { width: 1, height: 1, pixels: &[1, 2, 3] };
        resized(&image, CropBox { top: 0, left: 0, height: 1, width: 2 }, 4);
    }
}
