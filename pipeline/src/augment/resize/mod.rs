//! Crop and antialiased resize, byte for byte as Pillow's `image.crop(box).resize(size, filter)`.
//!
//! Two separable passes with 22-bit fixed-point weights, rounded to bytes between them (Resample.c). The order of the
//! passes shows in the last bit; it is that of Pillow 13, where earlier versions always began with the horizontal one.

mod axis;
mod filter;
mod flatten;
mod narrow;

pub(super) use axis::Axis;

use filter::Filter;
use flatten::flatten;
use narrow::{Narrow, Rows, Target};

use super::cpu::Cpu;
use super::planes::Planes;
use super::{RgbPart, Window};

/// Bits after the point of a weight: 8 go to the result, 2 are kept against overflow.
const PRECISION_BITS: u32 = 32 - 8 - 2;
const ONE: i32 = 1 << PRECISION_BITS;
const HALF: i32 = ONE / 2;

/// Resizes windows of images, reusing the weights' and the intermediate image's memory.
#[derive(Debug)]
pub(super) struct Resizer {
    cpu: Cpu,
    narrow: Narrow,
    vertical: Filter,
    between: Vec<u8>,
}

impl Resizer {
    pub(super) fn new(cpu: Cpu) -> Self {
        Self { cpu, narrow: Narrow::new(cpu), vertical: Filter::default(), between: Vec::new() }
    }

    /// Writes the view that `window` shows of an image of which `part` is known, mirrored if `flip`: each column of the view
    /// is computed by itself, so mirroring it costs nothing here.
    pub(super) fn resize(&mut self, part: &RgbPart<'_>, window: &Window, flip: bool, view: &mut Planes) {
        let size = window.size;
        view.resize(size * size);
        let (columns, rows) = Axis::of_window(window, part.scale.denominator());
        let (seen_columns, seen_rows) = (columns.seen(), rows.seen());
        assert!(
            part.left <= seen_columns.start
                && seen_columns.end <= part.left + part.width
                && part.top <= seen_rows.start
                && seen_rows.end <= part.top + part.height,
            "what a window shows lies inside its image"
        );
        self.narrow.plan(&columns, flip);
        self.vertical.plan(&rows, false);
        let source = Rows {
            bytes: part.rows_from(seen_rows.start, seen_columns.start),
            stride: part.stride,
            width: seen_columns.len() * 3,
            count: seen_rows.len(),
        };
        if vertical_first(&columns, &rows) {
            self.flatten_then_narrow(source, size, view);
        } else {
            self.narrow_then_flatten(source, size, view);
        }
    }

    fn narrow_then_flatten(&mut self, source: Rows<'_>, size: usize, view: &mut Planes) {
        // Each row of `between` is a red, a green and a blue row.
        self.between.resize(source.count * size * 3, 0);
        let target = Target { bytes: &mut self.between, row_stride: size * 3, channel_stride: size, size };
        self.narrow.rows(source, target);
        for (channel, plane) in view.split_mut().into_iter().enumerate() {
            for (y, out) in plane.chunks_exact_mut(size).enumerate() {
                let (first, weights) = self.vertical.taps(y);
                let rows = &self.between[(first * 3 + channel) * size..];
                flatten(self.cpu, rows, size * 3, weights, out);
            }
        }
    }

    fn flatten_then_narrow(&mut self, source: Rows<'_>, size: usize, view: &mut Planes) {
        let Rows { bytes, stride, width, .. } = source;
        self.between.resize(size * width, 0);
        for (y, out) in self.between.chunks_exact_mut(width).enumerate() {
            let (first, weights) = self.vertical.taps(y);
            flatten(self.cpu, &bytes[first * stride..], stride, weights, out);
        }
        let flat = Rows { bytes: &self.between, stride: width, width, count: size };
        let bytes = view.bytes_mut();
        self.narrow.rows(flat, Target { bytes, row_stride: size, channel_stride: size * size, size });
    }
}

/// Pillow's rule: when the height loses more than twice what the width loses.
fn vertical_first(columns: &Axis, rows: &Axis) -> bool {
    let shrink = |axis: &Axis| axis.pixels as i64 - axis.scaled as i64;
    shrink(rows) > 0 && shrink(rows) > 2 * shrink(columns)
}

/// The byte of a sum that began with `HALF`; a cubic filter's overshoots at edges.
#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Interpolation;
    use crate::image::{Region, RgbImage};

    impl Resizer {
        pub(in crate::augment) fn capacities(&self) -> [usize; 2] {
            [self.vertical.capacity(), self.between.capacity()]
        }
    }

    fn resized(image: &RgbImage<'_>, source: Region, size: usize) -> Vec<u8> {
        resized_by(Interpolation::Bilinear, image, source, size)
    }

    fn resized_by(
        interpolation: Interpolation,
        image: &RgbImage<'_>,
        source: Region,
        size: usize,
    ) -> Vec<u8> {
        let window = Window { interpolation, ..Window::whole(source, size) };
        let views = Cpu::all().into_iter().map(|cpu| {
            let mut view = Planes::default();
            Resizer::new(cpu).resize(&(*image).into(), &window, false, &mut view);
            view.interleaved()
        });
        views
            .reduce(|a, b| {
                assert_eq!(a, b, "every instruction set gives the same bytes");
                a
            })
            .unwrap()
    }

    #[test]
    fn the_same_size_copies() {
        let pixels: Vec<u8> = (0..8 * 8 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let image = RgbImage { width: 8, height: 8, pixels: &pixels };
        let whole = Region { top: 0, left: 0, height: 8, width: 8 };
        assert_eq!(resized(&image, whole, 8), pixels);
    }

    #[test]
    fn pixels_outside_the_box_are_not_seen() {
        let mut pixels = vec![255; 9 * 9 * 3];
        for y in 3..6 {
            pixels[(y * 9 + 3) * 3..(y * 9 + 6) * 3].fill(10);
        }
        let image = RgbImage { width: 9, height: 9, pixels: &pixels };
        let middle = Region { top: 3, left: 3, height: 3, width: 3 };
        for size in [1, 2, 3, 7] {
            assert!(resized(&image, middle, size).iter().all(|&value| value == 10));
        }
    }

    #[test]
    fn every_width_is_the_same_on_every_cpu() {
        let pixels: Vec<u8> = (0..700 * 5 * 3u32).map(|i| ((i * i * 17) >> 4) as u8).collect();
        for width in (1..=130).chain([223, 300, 447, 500, 640, 700]) {
            let image = RgbImage { width, height: 5, pixels: &pixels[..width * 5 * 3] };
            for (height, size) in [(5, 1), (3, 7), (5, 16), (4, 33), (2, 64)] {
                resized(&image, Region { top: 0, left: 0, height, width }, size);
                resized(
                    &image,
                    Region { top: 1, left: width / 3, height: 1, width: width - width / 3 },
                    size,
                );
            }
        }
    }

    #[test]
    fn every_filter_is_the_same_on_every_cpu() {
        // Black and white, where a cubic filter overshoots both ends.
        let pixels: Vec<u8> = (0..300 * 40 * 3u32).map(|i| if i / 21 % 2 == 0 { 0 } else { 255 }).collect();
        for interpolation in [Interpolation::Bicubic, Interpolation::Box] {
            for width in (1..=70).chain([149, 224, 300]) {
                let image = RgbImage { width, height: 40, pixels: &pixels[..width * 40 * 3] };
                for (height, size) in [(1, 9), (7, 16), (40, 17), (40, 33), (33, 50)] {
                    resized_by(interpolation, &image, Region { top: 0, left: 0, height, width }, size);
                }
            }
        }
    }

    #[test]
    fn flipping_mirrors() {
        let pixels: Vec<u8> = (0..50 * 40 * 3u32).map(|i| ((i * i * 17) >> 4) as u8).collect();
        let part = RgbImage { width: 50, height: 40, pixels: &pixels }.into();
        let source = Region { top: 3, left: 1, height: 33, width: 49 };
        let window = Window::whole(source, 24);
        for cpu in Cpu::all() {
            let [straight, flipped] = [false, true].map(|flip| {
                let mut view = Planes::default();
                Resizer::new(cpu).resize(&part, &window, flip, &mut view);
                view
            });
            for (a, b) in straight.bytes().chunks(24).zip(flipped.bytes().chunks(24)) {
                assert!(a.iter().eq(b.iter().rev()));
            }
        }
    }

    #[test]
    fn one_pixel_fills_the_view() {
        let image = RgbImage { width: 1, height: 1, pixels: &[1, 2, 3] };
        let whole = Region { top: 0, left: 0, height: 1, width: 1 };
        assert_eq!(resized(&image, whole, 4), [1, 2, 3].repeat(16));
    }

    #[test]
    #[should_panic(expected = "inside its image")]
    fn a_window_of_another_image_is_refused() {
        let image = RgbImage { width: 1, height: 1, pixels: &[1, 2, 3] };
        resized(&image, Region { top: 0, left: 0, height: 1, width: 2 }, 4);
    }
}
