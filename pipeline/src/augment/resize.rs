//! Crop and antialiased bilinear resize, byte for byte as Pillow's `image.crop(box).resize(size, BILINEAR)`.
//!
//! Two separable passes with 22-bit fixed-point weights, rounded to bytes between them (Resample.c). The order of the
//! passes shows in the last bit; it is that of Pillow 13, where earlier versions always began with the horizontal one.

use std::ops::Range;

use super::{CropBox, Window};
use crate::decode::RgbImage;

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
    /// Writes the view of `size` x `size` pixels that `window` shows of `image`.
    pub(super) fn resize(&mut self, image: &RgbImage<'_>, window: &Window, size: usize, view: &mut [u8]) {
        let Window { source, scaled_width, scaled_height, top, left } = *window;
        assert!(
            source.left + source.width <= image.width && source.top + source.height <= image.height,
            "a window lies inside its image"
        );
        self.horizontal.plan(source.width, scaled_width, left..left + size);
        self.vertical.plan(source.height, scaled_height, top..top + size);
        if vertical_first(window) {
            self.flatten_then_narrow(image, source, size, view);
        } else {
            self.narrow_then_flatten(image, source, size, view);
        }
    }

    fn narrow_then_flatten(&mut self, image: &RgbImage<'_>, source: CropBox, size: usize, view: &mut [u8]) {
        let rows = self.vertical.source_range();
        self.between.resize(rows.len() * size * 3, 0);
        for (row, narrow) in
            source_rows(image, source).skip(rows.start).zip(self.between.chunks_exact_mut(size * 3))
        {
            self.horizontal.narrow_row(row, narrow);
        }
        self.sums.resize(size * 3, 0);
        for (y, out) in view.chunks_exact_mut(size * 3).enumerate() {
            let (first, weights) = self.vertical.taps(y);
            let taps = self.between.chunks_exact(size * 3).skip(first - rows.start).zip(weights);
            sum_rows(taps, &mut self.sums, out);
        }
    }

    fn flatten_then_narrow(&mut self, image: &RgbImage<'_>, source: CropBox, size: usize, view: &mut [u8]) {
        self.sums.resize(source.width * 3, 0);
        self.between.resize(source.width * 3, 0);
        for (y, out) in view.chunks_exact_mut(size * 3).enumerate() {
            let (first, weights) = self.vertical.taps(y);
            let taps = source_rows(image, source).skip(first).zip(weights);
            sum_rows(taps, &mut self.sums, &mut self.between);
            self.horizontal.narrow_row(&self.between, out);
        }
    }
}

/// Pillow's rule: when the height loses more than twice what the width loses.
fn vertical_first(window: &Window) -> bool {
    let shrink = |from: usize, to: usize| from as i64 - to as i64;
    let height = shrink(window.source.height, window.scaled_height);
    height > 0 && height > 2 * shrink(window.source.width, window.scaled_width)
}

/// The rows of a box of an image.
fn source_rows<'a>(image: &RgbImage<'a>, source: CropBox) -> impl Iterator<Item = &'a [u8]> {
    let rows = image.pixels.chunks_exact(image.width * 3).skip(source.top).take(source.height);
    rows.map(move |row| &row[source.left * 3..(source.left + source.width) * 3])
}

/// One output row: the weighted sum of a few rows.
fn sum_rows<'a>(taps: impl Iterator<Item = (&'a [u8], &'a i32)>, sums: &mut [i32], out: &mut [u8]) {
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

/// The source positions and weights of each output position along one axis.
#[derive(Debug, Default)]
struct Filter {
    /// First source position of each output position, and where its weights end in `weights`.
    spans: Vec<(usize, usize)>,
    weights: Vec<i32>,
    exact: Vec<f64>,
}

impl Filter {
    /// The triangle filter from `source` positions to the part `window` of `scaled` positions, its support stretched
    /// when that shrinks (Resample.c, `precompute_coeffs` and `normalize_coeffs_8bpc`).
    fn plan(&mut self, source: usize, scaled: usize, window: Range<usize>) {
        let scale = source as f64 / scaled as f64;
        let support = scale.max(1.0);
        let inverse_support = 1.0 / support;
        self.spans.clear();
        self.weights.clear();
        for position in window {
            let center = (position as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(source);
            self.exact.clear();
            self.exact.extend((first..end).map(|x| {
                let distance = (x as f64 - center + 0.5) * inverse_support;
                (1.0 - distance.abs()).max(0.0)
            }));
            let total: f64 = self.exact.iter().sum();
            self.weights.extend(self.exact.iter().map(|w| (0.5 + w / total * f64::from(ONE)) as i32));
            self.spans.push((first, self.weights.len()));
        }
    }

    /// First source position of an output position, and the weights from there on.
    fn taps(&self, position: usize) -> (usize, &[i32]) {
        let begin = if position == 0 { 0 } else { self.spans[position - 1].1 };
        let (first, end) = self.spans[position];
        (first, &self.weights[begin..end])
    }

    /// All source positions that any output position needs.
    fn source_range(&self) -> Range<usize> {
        let (last, weights) = self.taps(self.spans.len() - 1);
        self.spans[0].0..last + weights.len()
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
        Resizer::default().resize(image, &window, size, &mut view);
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
