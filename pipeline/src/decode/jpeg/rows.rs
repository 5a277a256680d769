//! Samples of a decoded MCU row become rows of RGB.

use std::ops::Range;

use super::color;
use super::header::Coding;
use super::kernels::Kernels;
use super::layout::{Layout, Plane};
use super::upsample::{self, BETWEEN_ROWS, ONE_ROW};

/// Writes the pixel rows `rows` of the region; the planes hold the samples of `mcu_row`.
#[inline(always)]
pub(super) fn convert<K: Kernels>(
    kernels: K,
    layout: &Layout,
    samples: &[u8],
    mcu_row: usize,
    rows: Range<usize>,
    lines: &mut Vec<u8>,
    rgb: &mut [u8],
) {
    let region = &layout.region;
    let line_bytes = layout.columns.len() * layout.mcu_width;
    if lines.len() < 3 * line_bytes {
        lines.resize(3 * line_bytes, 0);
    }
    let left = region.left - layout.columns.start * layout.mcu_width;
    let window = left..left + region.width;
    for y in rows {
        let out = &mut rgb[3 * region.width * (y - region.top)..][..3 * region.width];
        let mut lines = lines.chunks_exact_mut(line_bytes);
        let mut row = |i: usize| {
            let line = lines.next().unwrap_or_default();
            &pixel_row(kernels, &layout.planes[i], samples, mcu_row, y, line)[window.clone()]
        };
        match layout.coding {
            Coding::Gray => crate::decode::convert::gray(row(0), out),
            Coding::YCbCr => kernels.ycc_to_rgb(row(0), row(1), row(2), out),
            Coding::Rgb => color::scalar::interleave(row(0), row(1), row(2), out),
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
        _ => upsample::scalar::repeat(near, line),
    }
    line
}
