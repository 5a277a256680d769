//! Converts the samples of a decoded MCU row to rows of RGB.

use std::ops::Range;

use super::color;
use super::header::Coding;
use super::kernels::Kernels;
use super::layout::{McuGrid, Plane};
use super::upsample::{self, BETWEEN_ROWS, ONE_ROW};
use crate::image::interleave;

/// Samples of one MCU row, and upsampled rows.
#[derive(Debug, Default)]
pub(super) struct Samples {
    planes: Vec<u8>,
    lines: Vec<u8>,
}

/// The pixels of a part, which are made as its MCU rows come.
pub(super) struct Rows<'a> {
    layout: &'a McuGrid,
    samples: &'a mut Samples,
    rgb: &'a mut [u8],
    /// The first pixel row that is not made yet.
    next: usize,
}

impl<'a> Rows<'a> {
    /// Nothing yet of the pixels of `rgb`, which has room for all.
    pub(super) fn new(layout: &'a McuGrid, samples: &'a mut Samples, rgb: &'a mut [u8]) -> Self {
        if samples.planes.len() < layout.bytes {
            samples.planes.resize(layout.bytes, 0);
        }
        let line_bytes = layout.components * layout.columns.len() * layout.mcu_width;
        if samples.lines.len() < line_bytes {
            samples.lines.resize(line_bytes, 0);
        }
        Self { layout, samples, rgb, next: layout.region.top }
    }

    /// The planes, for the samples of MCU row `row`.
    pub(super) fn begin(&mut self, row: usize) -> &mut [u8] {
        let planes = &mut self.samples.planes;
        if row > self.layout.rows.start && self.layout.reaches_down {
            // Upsampling looks for each plane's last row above the first of the next MCU row.
            for plane in &self.layout.planes[..self.layout.components] {
                let last = plane.start + plane.v * plane.side * plane.stride;
                planes.copy_within(last..last + plane.stride, plane.start);
            }
        }
        planes
    }

    /// Makes the pixel rows for which all samples are there, now that those of MCU row `row` are.
    #[inline(always)]
    pub(super) fn finish<K: Kernels>(&mut self, kernels: K, row: usize) {
        let layout = self.layout;
        let bottom = layout.region.top + layout.region.height;
        let end = if row + 1 == layout.rows.end {
            bottom
        } else {
            bottom.min((row + 1) * layout.mcu_height - usize::from(layout.reaches_down))
        };
        self.convert(kernels, row, self.next..end);
        self.next = end.max(self.next);
    }

    /// Writes the pixel rows `rows` of the region; the planes hold the samples of `mcu_row`.
    #[inline(always)]
    fn convert<K: Kernels>(&mut self, kernels: K, mcu_row: usize, rows: Range<usize>) {
        let layout = self.layout;
        let (region, planes) = (&layout.region, &self.samples.planes);
        let line_bytes = layout.columns.len() * layout.mcu_width;
        let left = region.left - layout.columns.start * layout.mcu_width;
        let window = left..left + region.width;
        for y in rows {
            let out = &mut self.rgb[3 * region.width * (y - region.top)..][..3 * region.width];
            let mut lines = self.samples.lines.chunks_exact_mut(line_bytes);
            let mut row = |i: usize| {
                let line = lines.next().unwrap_or_default();
                &pixel_row(kernels, &layout.planes[i], planes, mcu_row, y, line)[window.clone()]
            };
            match layout.coding {
                Coding::Gray => crate::decode::convert::gray(row(0), out),
                Coding::YCbCr => kernels.ycc_to_rgb(row(0), row(1), row(2), out),
                Coding::Rgb => interleave([row(0), row(1), row(2)], out),
                Coding::Cmyk => color::scalar::cmyk_to_rgb([row(0), row(1), row(2), row(3)], out),
                Coding::Ycck => color::scalar::ycck_to_rgb([row(0), row(1), row(2), row(3)], out),
            }
        }
    }
}

/// A component's row `y`, a sample a pixel: where it lies already, or upsampled into `line`.
#[inline(always)]
fn pixel_row<'a, K: Kernels>(
    kernels: K,
    plane: &Plane,
    samples: &'a [u8],
    mcu_row: usize,
    y: usize,
    line: &'a mut [u8],
) -> &'a [u8] {
    let row = |number: usize| {
        let place = number + 1 - mcu_row * plane.v * plane.side;
        &samples[plane.start + place * plane.stride..][..plane.stride]
    };
    let number = y / plane.tall;
    let near = row(number);
    let above = y.is_multiple_of(2);
    let far = match plane.tall {
        2 if plane.smooth && above => row(number.saturating_sub(1)),
        2 if plane.smooth => row((number + 1).min(plane.last_row)),
        _ => near,
    };
    match (plane.wide, plane.tall) {
        (1, 2) if plane.smooth => upsample::scalar::between(near, far, if above { 1 } else { 2 }, line),
        (1, _) => return near,
        _ if plane.smooth => {
            let rounding = if plane.tall == 2 { BETWEEN_ROWS } else { ONE_ROW };
            kernels.widen(&near[..plane.width], &far[..plane.width], rounding, line);
        }
        (wide, _) => upsample::scalar::repeat(near, wide, line),
    }
    line
}
