//! Decodes a scan with all components: MCUs of the region are decoded directly to samples, those before it are skipped,
//! and decoding ends with the last one that the region needs.

use super::entropy::{Coder, Damage, LongBlock};
use super::idct;
use super::kernels::{Kernels, Task};
use super::layout::{McuGrid, Plane};
use super::rows::Rows;
use super::segment::{Segment, Segments};
use super::unstuff::Unstuffed;

/// One part of one image.
pub(super) struct Sequential<'a> {
    pub(super) data: &'a Unstuffed,
    pub(super) layout: &'a McuGrid,
    /// The tables of each component.
    pub(super) coders: &'a [Coder<'a>],
    /// MCUs between restart markers, `usize::MAX` without.
    pub(super) restart_interval: usize,
    pub(super) rows: Rows<'a>,
}

impl Task for Sequential<'_> {
    #[inline(always)]
    fn run<K: Kernels>(mut self, kernels: K) -> Result<(), Damage> {
        let layout = self.layout;
        // Restart intervals that end before the part begins are not even looked at.
        let first_needed = layout.rows.start * layout.mcus_across + layout.columns.start;
        let (mut segments, first) = Segments::new(self.data, self.restart_interval, first_needed)?;
        let mut first_column = first % layout.mcus_across;
        let mut block = LongBlock::EMPTY;
        for row in first / layout.mcus_across..layout.rows.end {
            let needed = layout.rows.contains(&row);
            let planes = self.rows.begin(row);
            for column in first_column..layout.mcus_across {
                let segment = segments.next_mcu()?;
                if needed && layout.columns.contains(&column) {
                    decode_mcu(kernels, layout, self.coders, segment, column, &mut block, planes)?;
                } else {
                    skip_mcu(kernels, layout, self.coders, segment)?;
                }
            }
            first_column = 0;
            segments.check()?;
            if needed {
                self.rows.finish(kernels, row);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn decode_mcu<K: Kernels>(
    kernels: K,
    layout: &McuGrid,
    coders: &[Coder<'_>],
    segment: &mut Segment<'_>,
    column: usize,
    block: &mut LongBlock,
    planes: &mut [u8],
) -> Result<(), Damage> {
    let column = column - layout.columns.start;
    for ((plane, coder), prediction) in layout.planes.iter().zip(coders).zip(&mut segment.predictions) {
        let &Plane { h, v, side, stride, .. } = plane;
        for y in 0..v {
            for x in 0..h {
                let out = &mut planes[plane.place(column * h + x, y)..];
                if side == 1 {
                    kernels.skip(coder, &mut segment.bits, prediction)?;
                    idct::flat((*prediction as i16).wrapping_mul(coder.steps.0[0]), 1, out, stride);
                    continue;
                }
                let last = kernels.decode(coder, &mut segment.bits, prediction, block)?;
                kernels.transform(block.block(), last == 0, coder.steps, side, out, stride);
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn skip_mcu<K: Kernels>(
    kernels: K,
    layout: &McuGrid,
    coders: &[Coder<'_>],
    segment: &mut Segment<'_>,
) -> Result<(), Damage> {
    for ((plane, coder), prediction) in layout.planes.iter().zip(coders).zip(&mut segment.predictions) {
        for _ in 0..plane.h * plane.v {
            kernels.skip(coder, &mut segment.bits, prediction)?;
        }
    }
    Ok(())
}
