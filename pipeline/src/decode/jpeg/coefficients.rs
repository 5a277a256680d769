//! The coefficients of an image with more than one scan, and their conversion to pixels.

use super::entropy::Damage;
use super::free_oversized;
use super::header::{Component, Frame, MOST_COMPONENTS};
use super::idct::Block;
use super::kernels::{Kernels, Task};
use super::layout::McuGrid;
use super::rows::Rows;
use super::smooth::Smoothing;
use super::steps::Steps;

/// The blocks of all components, from the image's top down to where a part ends.
#[derive(Debug, Default)]
pub(super) struct Coefficients {
    pub(super) blocks: Vec<AlignedBlock>,
    /// For each block, 0 where all AC coefficients are. Else, in a progressive file, the zig-zag indices of those that are not, a
    /// bit each.
    pub(super) nonzero: Vec<u64>,
    pub(super) grids: [Grid; MOST_COMPONENTS],
}

/// A block where vectors of 32 and 64 bytes lie in one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct AlignedBlock(pub(super) Block);

/// Where the blocks of a component are.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Grid {
    /// The first among those of all components.
    pub(super) start: usize,
    /// Blocks from one row to the next: those of all MCUs.
    pub(super) stride: usize,
    /// Blocks that the component's own samples fill, across and down: what a scan of it alone has (A.2.2).
    pub(super) width: usize,
    pub(super) height: usize,
    /// Blocks of an MCU, down.
    pub(super) v: usize,
}

impl Coefficients {
    /// Makes room for the first `mcu_rows` rows of MCUs, all 0.
    pub(super) fn clear(&mut self, frame: &Frame, layout: &McuGrid, mcu_rows: usize) {
        let (h_most, v_most) = frame.most();
        let mut start = 0;
        for (grid, &Component { h, v, .. }) in self.grids.iter_mut().zip(frame.components()) {
            let stride = layout.mcus_across * h;
            let width = (frame.width * h).div_ceil(8 * h_most);
            let height = (frame.height * v).div_ceil(8 * v_most);
            *grid = Grid { start, stride, width, height, v };
            start += stride * mcu_rows * v;
        }
        self.blocks.clear();
        self.blocks.resize(start, AlignedBlock([0; 64]));
        self.nonzero.clear();
        self.nonzero.resize(start, 0);
    }

    /// Frees buffers that are too large to be kept for an image of `pixels`.
    pub(super) fn free_oversized(&mut self, pixels: usize, kept_bytes: usize) {
        // Four components, none of them subsampled.
        let blocks = pixels / 16;
        free_oversized(&mut self.blocks, blocks * size_of::<AlignedBlock>(), kept_bytes);
        free_oversized(&mut self.nonzero, blocks * size_of::<u64>(), kept_bytes);
    }
}

/// The inverse DCT of a part's blocks, and its pixels.
pub(super) struct Render<'a> {
    pub(super) coefficients: &'a Coefficients,
    pub(super) layout: &'a McuGrid,
    /// The quantisation steps of each component.
    pub(super) steps: &'a [Steps; MOST_COMPONENTS],
    pub(super) smoothing: Option<&'a Smoothing>,
    pub(super) rows: Rows<'a>,
}

impl Task for Render<'_> {
    #[inline(always)]
    fn run<K: Kernels>(mut self, kernels: K) -> Result<(), Damage> {
        let layout = self.layout;
        for row in layout.rows.clone() {
            let samples = self.rows.begin(row);
            for (component, plane) in layout.planes[..layout.components].iter().enumerate() {
                let (grid, steps) = (&self.coefficients.grids[component], &self.steps[component]);
                let first_column = layout.columns.start * plane.h;
                for y in 0..plane.v {
                    let block_row = row * plane.v + y;
                    let first = grid.start + block_row * grid.stride + first_column;
                    for x in 0..layout.columns.len() * plane.h {
                        let AlignedBlock(block) = &self.coefficients.blocks[first + x];
                        let out = &mut samples[plane.place(x, y)..];
                        // Blocks beyond the image have nothing that is seen.
                        if let Some(smoothing) = self.smoothing
                            && first_column + x < grid.width
                            && block_row < grid.height
                        {
                            let place = (first_column + x, block_row);
                            let block = smoothing.block(self.coefficients, component, steps, place);
                            kernels.transform(&block, false, steps, plane.side, out, plane.stride);
                            continue;
                        }
                        let flat = self.coefficients.nonzero[first + x] == 0;
                        kernels.transform(block, flat, steps, plane.side, out, plane.stride);
                    }
                }
            }
            self.rows.finish(kernels, row);
        }
        Ok(())
    }
}
