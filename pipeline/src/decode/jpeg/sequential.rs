//! Decodes a scan with all components: MCUs of the region are decoded directly to samples, those before it are skipped,
//! and decoding ends with the last one that the region needs.

use super::entropy::{Coder, Damage, LongBlock};
use super::idct;
use super::kernels::{Kernels, Task};
use super::layout::{McuGrid, Plane};
use super::rows::Rows;
use super::segment::{Segment, Segments};
use super::steps::Steps;
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
        let mut delayed = Delayed { blocks: [LongBlock::EMPTY; 2], free: 0, waiting: None };
        for row in first / layout.mcus_across..layout.rows.end {
            let needed = layout.rows.contains(&row);
            let planes = self.rows.begin(row);
            for column in first_column..layout.mcus_across {
                let segment = segments.next_mcu()?;
                if needed && layout.columns.contains(&column) {
                    decode_mcu(kernels, layout, self.coders, segment, column, &mut delayed, planes)?;
                } else {
                    skip_mcu(kernels, layout, self.coders, segment)?;
                }
            }
            first_column = 0;
            segments.check()?;
            if needed {
                delayed.finish(kernels, planes);
                self.rows.finish(kernels, row);
            }
        }
        Ok(())
    }
}

/// Transforms each block after the next one is decoded. A vector of coefficients that were just stored one by one would wait for
/// them to reach the cache.
struct Delayed<'a> {
    blocks: [LongBlock; 2],
    /// The one that is free; the other waits.
    free: usize,
    waiting: Option<Waiting<'a>>,
}

/// A block's place among the planes' bytes, and how it becomes samples.
struct Waiting<'a> {
    place: usize,
    stride: usize,
    side: usize,
    steps: &'a Steps,
    flat: bool,
}

impl<'a> Delayed<'a> {
    /// A block to decode into.
    #[inline(always)]
    fn free(&mut self) -> &mut LongBlock {
        &mut self.blocks[self.free & 1]
    }

    /// Takes the free block, and transforms the one before.
    #[inline(always)]
    fn add<K: Kernels>(&mut self, kernels: K, block: Waiting<'a>, planes: &mut [u8]) {
        self.finish(kernels, planes);
        self.free ^= 1;
        self.waiting = Some(block);
    }

    /// Transforms the block that waits, if any.
    #[inline(always)]
    fn finish<K: Kernels>(&mut self, kernels: K, planes: &mut [u8]) {
        if let Some(Waiting { place, stride, side, steps, flat }) = self.waiting.take() {
            kernels.transform(
                self.blocks[(self.free ^ 1) & 1].block(),
                flat,
                steps,
                side,
                &mut planes[place..],
                stride,
            );
        }
    }
}

#[inline(always)]
fn decode_mcu<'a, K: Kernels>(
    kernels: K,
    layout: &McuGrid,
    coders: &[Coder<'a>],
    segment: &mut Segment<'_>,
    column: usize,
    delayed: &mut Delayed<'a>,
    planes: &mut [u8],
) -> Result<(), Damage> {
    let column = column - layout.columns.start;
    for ((plane, coder), prediction) in layout.planes.iter().zip(coders).zip(&mut segment.predictions) {
        let &Plane { h, v, side, stride, .. } = plane;
        for y in 0..v {
            for x in 0..h {
                let place = plane.place(column * h + x, y);
                if side == 1 {
                    kernels.skip(coder, &mut segment.bits, prediction)?;
                    let dc = (*prediction as i16).wrapping_mul(coder.steps.0[0]);
                    idct::flat(dc, 1, &mut planes[place..], stride);
                    continue;
                }
                let last = kernels.decode(coder, &mut segment.bits, prediction, delayed.free())?;
                let block = Waiting { place, stride, side, steps: coder.steps, flat: last == 0 };
                delayed.add(kernels, block, planes);
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
