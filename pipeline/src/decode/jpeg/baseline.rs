//! The loop over the MCUs of a sequential scan: those of the part are decoded, those before it passed over, and it
//! ends with the last that the part needs.

use super::bits::Bits;
use super::entropy::{Coder, Damage};
use super::idct::{self, Block};
use super::kernels::Kernels;
use super::layout::{Layout, Plane};
use super::rows;
use super::unstuff::Unstuffed;

/// One part of one image.
pub(super) struct Scan<'a> {
    pub(super) data: &'a Unstuffed,
    pub(super) layout: &'a Layout,
    /// The tables of each component.
    pub(super) coders: &'a [Coder<'a>],
    /// MCUs between restart markers, `usize::MAX` without.
    pub(super) restart_interval: usize,
}

/// Samples of one MCU row, and upsampled rows.
#[derive(Debug, Default)]
pub(super) struct Samples {
    planes: Vec<u8>,
    lines: Vec<u8>,
}

impl Scan<'_> {
    /// Decodes the part's pixels into `rgb`.
    #[inline(always)]
    pub(super) fn decode<K: Kernels>(
        &self,
        kernels: K,
        samples: &mut Samples,
        rgb: &mut [u8],
    ) -> Result<(), Damage> {
        let layout = self.layout;
        let Samples { planes, lines } = samples;
        if planes.len() < layout.bytes {
            planes.resize(layout.bytes, 0);
        }
        // Restart intervals that end before the part begins are not even looked at.
        let first_needed = layout.rows.start * layout.mcus_across + layout.columns.start;
        let mut segment = first_needed / self.restart_interval;
        let first = segment * self.restart_interval;
        let mut entropy = Segment::new(self, segment)?;
        let mut first_column = first % layout.mcus_across;
        let mut block = Block::EMPTY;
        let mut next_row = layout.region.top;
        for row in first / layout.mcus_across..layout.rows.end {
            let row_needed = layout.rows.contains(&row);
            if row > layout.rows.start && layout.reaches_down {
                keep_last_rows(layout, planes);
            }
            for column in first_column..layout.mcus_across {
                if entropy.mcus_left == 0 {
                    entropy.check()?;
                    segment += 1;
                    entropy = Segment::new(self, segment)?;
                }
                entropy.mcus_left -= 1;
                if row_needed && layout.columns.contains(&column) {
                    self.decode_mcu(kernels, &mut entropy, column, &mut block, planes)?;
                } else {
                    self.skip_mcu(kernels, &mut entropy)?;
                }
            }
            first_column = 0;
            entropy.check()?;
            if row_needed {
                let end = self.rows_complete(row);
                rows::convert(kernels, layout, planes, row, next_row..end, lines, rgb);
                next_row = end.max(next_row);
            }
        }
        Ok(())
    }

    /// Where the pixel rows end that can be made once MCU row `row` is decoded.
    fn rows_complete(&self, row: usize) -> usize {
        let layout = self.layout;
        let bottom = layout.region.top + layout.region.height;
        if row + 1 == layout.rows.end {
            return bottom;
        }
        let pixels = (row + 1) * layout.mcu_height;
        bottom.min(if layout.reaches_down { pixels - 1 } else { pixels })
    }

    #[inline(always)]
    fn decode_mcu<K: Kernels>(
        &self,
        kernels: K,
        entropy: &mut Segment<'_>,
        column: usize,
        block: &mut Block,
        planes: &mut [u8],
    ) -> Result<(), Damage> {
        let column = column - self.layout.columns.start;
        for ((plane, coder), prediction) in
            self.layout.planes.iter().zip(self.coders).zip(&mut entropy.predictions)
        {
            let &Plane { h, v, side, start, stride, .. } = plane;
            for y in 0..v {
                for x in 0..h {
                    let place = start + (1 + y * side) * stride + (column * h + x) * side;
                    let out = &mut planes[place..];
                    if side == 1 {
                        kernels.skip(coder, &mut entropy.bits, prediction)?;
                        idct::flat((*prediction as i16).wrapping_mul(coder.steps.0[0]), 1, out, stride);
                        continue;
                    }
                    let last = kernels.decode(coder, &mut entropy.bits, prediction, block)?;
                    match side {
                        _ if last == 0 => idct::flat(block.dequantised(coder.steps, 0), side, out, stride),
                        8 => kernels.idct(block, coder.steps, out, stride),
                        4 => kernels.idct_half(block, coder.steps, out, stride),
                        _ => kernels.idct_quarter(block, coder.steps, out, stride),
                    }
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn skip_mcu<K: Kernels>(&self, kernels: K, entropy: &mut Segment<'_>) -> Result<(), Damage> {
        for ((plane, coder), prediction) in
            self.layout.planes.iter().zip(self.coders).zip(&mut entropy.predictions)
        {
            for _ in 0..plane.h * plane.v {
                kernels.skip(coder, &mut entropy.bits, prediction)?;
            }
        }
        Ok(())
    }
}

/// What lies between two restart markers, as far as it is read.
struct Segment<'a> {
    bits: Bits<'a>,
    predictions: [i32; 3],
    mcus_left: usize,
}

impl<'a> Segment<'a> {
    fn new(scan: &Scan<'a>, number: usize) -> Result<Self, Damage> {
        let (data, length) = scan.data.segment(number).ok_or(Damage::Restart)?;
        Ok(Self { bits: Bits::new(data, length), predictions: [0; 3], mcus_left: scan.restart_interval })
    }

    fn check(&self) -> Result<(), Damage> {
        if self.bits.overrun() { Err(Damage::Ended) } else { Ok(()) }
    }
}

/// Moves each plane's last row above the first, where the next MCU row's upsampling looks for it.
fn keep_last_rows(layout: &Layout, planes: &mut [u8]) {
    for plane in &layout.planes[..layout.components] {
        let last = plane.start + plane.v * plane.side * plane.stride;
        planes.copy_within(last..last + plane.stride, plane.start);
    }
}
