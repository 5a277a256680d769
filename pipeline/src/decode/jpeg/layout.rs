//! The blocks that a region of an image needs, and the places of their samples.

use std::ops::Range;

use super::header::{Coding, Component, Frame, MOST_COMPONENTS};
use crate::image::{Region, Wanted};

/// Sizes and positions for one part of one image. "Pixels" are those of the scaled image.
#[derive(Debug)]
pub(super) struct McuGrid {
    pub(super) coding: Coding,
    /// The part, within the scaled image.
    pub(super) region: Region,
    /// MCUs of an MCU row of the file, and MCU rows.
    pub(super) mcus_across: usize,
    pub(super) mcus_down: usize,
    /// MCU columns whose pixels are needed.
    pub(super) columns: Range<usize>,
    /// MCU rows whose pixels are needed.
    pub(super) rows: Range<usize>,
    /// Size of an MCU in pixels.
    pub(super) mcu_width: usize,
    pub(super) mcu_height: usize,
    /// Whether a row of pixels can depend on the samples above and below it.
    pub(super) reaches_down: bool,
    pub(super) planes: [Plane; MOST_COMPONENTS],
    pub(super) components: usize,
    /// Bytes that all planes take.
    pub(super) bytes: usize,
}

/// A component's samples of one MCU row, and above it the last row of the one before.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Plane {
    /// Blocks of an MCU, across and down.
    pub(super) h: usize,
    pub(super) v: usize,
    /// Samples along a block's side: 8, 4, 2 or 1.
    pub(super) side: usize,
    /// Where the plane begins among all planes' bytes.
    pub(super) start: usize,
    pub(super) stride: usize,
    /// Samples of a row that are within the image.
    pub(super) width: usize,
    /// The last sample row that is within the image.
    pub(super) last_row: usize,
    /// Pixels that a sample covers, across and down.
    pub(super) wide: usize,
    pub(super) tall: usize,
    /// Whether those pixels are interpolated, or are the sample repeated.
    pub(super) smooth: bool,
}

impl McuGrid {
    /// The layout for what is `wanted`, which must not be empty.
    pub(super) fn new(frame: &Frame, coding: Coding, wanted: &Wanted) -> Self {
        let smallest = 8 / wanted.scale.denominator();
        let (h_most, v_most) = frame.most();
        let (mcu_width, mcu_height) = (h_most * smallest, v_most * smallest);
        let scaled = |size: usize| size.div_ceil(wanted.scale.denominator());
        let (width, height) = (scaled(frame.width), scaled(frame.height));
        let region = wanted.region.within(frame.width, frame.height).scaled_outwards(wanted.scale);

        let mut planes = [Plane::default(); MOST_COMPONENTS];
        for (plane, &Component { h, v, .. }) in planes.iter_mut().zip(frame.components()) {
            // libjpeg leaves the scaling of subsampled components to the transform where it can (jdmaster.c).
            let mut side = smallest;
            let (mut wide, mut tall) = (h_most / h, v_most / v);
            while side < 8 && wide.is_multiple_of(2) && tall.is_multiple_of(2) {
                (side, wide, tall) = (2 * side, wide / 2, tall / 2);
            }
            let samples = width.div_ceil(wide);
            let last_row = height.div_ceil(tall) - 1;
            *plane = Plane { h, v, side, width: samples, last_row, wide, tall, ..Plane::default() };
            // There are filters for twice the width and the height. A row of at most two samples is repeated, and so is
            // everything at 1/8 (jdsample.c).
            plane.smooth = smallest > 1
                && match (wide, tall) {
                    (1, 2) => true,
                    (2, 1 | 2) => samples > 2,
                    _ => false,
                };
        }
        let reaches_down = planes.iter().any(|plane| plane.smooth && plane.tall == 2);
        let reaches_across = planes.iter().any(|plane| plane.smooth && plane.wide == 2);
        let columns = mcus(region.left..region.left + region.width, reaches_across, width, mcu_width);
        let rows = mcus(region.top..region.top + region.height, reaches_down, height, mcu_height);
        let mut bytes = 0;
        for plane in &mut planes {
            let samples_across = plane.h * plane.side;
            plane.start = bytes;
            plane.stride = columns.len() * samples_across;
            plane.width = (plane.width - columns.start * samples_across).min(plane.stride);
            bytes += plane.stride * (1 + plane.v * plane.side);
        }
        Self {
            coding,
            region,
            mcus_across: width.div_ceil(mcu_width),
            mcus_down: height.div_ceil(mcu_height),
            columns,
            rows,
            mcu_width,
            mcu_height,
            reaches_down,
            planes,
            components: frame.components().len(),
            bytes,
        }
    }
}

impl Plane {
    /// Where the samples of a block begin, by its column and row among those of the part's MCU row.
    #[inline(always)]
    pub(super) fn place(&self, column: usize, row: usize) -> usize {
        self.start + (1 + row * self.side) * self.stride + column * self.side
    }
}

/// The MCUs of a range of pixels, and where a triangle filter `reaches` beyond, of the next subsampled neighbours, which are
/// two pixels.
fn mcus(pixels: Range<usize>, reaches: bool, limit: usize, mcu: usize) -> Range<usize> {
    let reach = if reaches { 2 } else { 0 };
    pixels.start.saturating_sub(reach) / mcu..(pixels.end + reach).min(limit).div_ceil(mcu)
}
