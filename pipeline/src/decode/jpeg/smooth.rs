//! Estimates missing or imprecise coefficients of a progressive file from the DC of a block and of the 24 around it, as
//! libjpeg-turbo does (jdcoefct.c, `decompress_smooth_data`, after ITU-T T.81, K.8). A preview from a file's first
//! scans therefore shows no blocks.

use super::coefficients::{Coefficients, Grid};
use super::header::{Frame, MOST_COMPONENTS, Scan};
use super::idct::{Block, slot};
use super::layout::McuGrid;
use super::steps::{PLACES, Steps};

/// AC coefficients, by zig-zag index, that can be estimated: 1 to 9.
const ESTIMATED: usize = 9;

/// A weight for each of 5 x 5 blocks.
type Weights = [[i64; 5]; 5];

/// How well the scans so far know the coefficients.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// For each component, the bits below those that are known of DC and of the first AC coefficients.
    low: [[Option<u32>; 1 + ESTIMATED]; MOST_COMPONENTS],
}

impl Knowledge {
    /// Takes in a progressive scan.
    pub(super) fn add(&mut self, scan: &Scan) {
        for selected in scan.components() {
            let low = &mut self.low[selected.component];
            low.iter_mut().take(scan.last + 1).skip(scan.first).for_each(|low| *low = Some(scan.low));
        }
    }

    /// What is to be estimated, if anything is, and can be.
    pub(super) fn smoothing(
        &self,
        frame: &Frame,
        layout: &McuGrid,
        steps: &[Steps; MOST_COMPONENTS],
    ) -> Option<Smoothing> {
        let components = frame.components().len();
        let known = &self.low[..components];
        let estimable = steps[..components]
            .iter()
            .all(|steps| PLACES[..10].iter().all(|&place| steps.0[usize::from(place)] != 0));
        let missing = known.iter().any(|low| low[1..].iter().any(|&low| low != Some(0)));
        (frame.progressive && estimable && missing && known.iter().all(|low| low[0].is_some()))
            .then_some(Smoothing { low: self.low, mcus_down: layout.mcus_down })
    }
}

/// The estimates of one image.
#[derive(Debug)]
pub(super) struct Smoothing {
    low: [[Option<u32>; 1 + ESTIMATED]; MOST_COMPONENTS],
    mcus_down: usize,
}

impl Smoothing {
    /// The block at a column and a row of a component, with its estimates.
    pub(super) fn block(
        &self,
        coefficients: &Coefficients,
        component: usize,
        steps: &Steps,
        (column, row): (usize, usize),
    ) -> Block {
        let grid = &coefficients.grids[component];
        let blocks = &coefficients.blocks[grid.start..];
        let columns = std::array::from_fn(|i| (column + i).saturating_sub(2).min(grid.width - 1));
        let around: Weights = self
            .rows_around(grid, row)
            .map(|row| columns.map(|column: usize| i64::from(blocks[row * grid.stride + column].0[0])));
        let mut block = blocks[row * grid.stride + column].0;
        let low = &self.low[component];
        let step = |place: usize| i64::from(steps.0[place] as u16);
        // The estimate in units of its own step, rounded away from 0 at the half.
        let estimate = |weights: &Weights, place: usize| {
            let products =
                around.iter().flatten().zip(weights.iter().flatten()).map(|(dc, weight)| dc * weight);
            let sum = products.sum::<i64>() * step(0);
            let size = ((step(place) << 7) + sum.abs()) / (step(place) << 8);
            (size, sum.signum())
        };
        let nothing_known = low[1..].iter().all(Option::is_none);
        let table: &[Weights] = if nothing_known { &FROM_DC_ALONE } else { &FROM_DC };
        for ((weights, low), &place) in table.iter().zip(&low[1..]).zip(&PLACES[1..]) {
            let place = usize::from(place);
            if *low == Some(0) || block[place] != 0 {
                continue;
            }
            let (size, sign) = estimate(weights, place);
            // More than the bits that are not known would be known.
            let size = low.map_or(size, |low| size.min((1 << low) - 1));
            block[place] = (size * sign) as i16;
        }
        if nothing_known {
            let (size, sign) = estimate(&DC, slot(0, 0));
            block[0] = (size * sign) as i16;
        }
        block
    }

    /// The rows two above to two below `row`: where there is none, and where libjpeg believes that there is none, the nearest.
    fn rows_around(&self, grid: &Grid, row: usize) -> [usize; 5] {
        // In the last row of MCUs, libjpeg counts rows as if each had as few as this one.
        let (mcu_row, y) = (row / grid.v, row % grid.v);
        let v = match grid.height % grid.v {
            fewer @ 1.. if mcu_row + 1 == self.mcus_down => fewer,
            _ => grid.v,
        };
        let (counted, all) = (mcu_row * v + y, self.mcus_down * v);
        let above = if counted > 0 { row - 1 } else { row };
        let above2 = if counted > 1 { row - 2 } else { above };
        let below = if counted + 1 < all { row + 1 } else { row };
        let below2 = if counted + 2 < all { row + 2 } else { below };
        [above2, above, row, below, below2]
    }
}

/// Weights in 256ths for the AC coefficients of zig-zag index 1 to 5 where some AC coefficients are known, so that DC is as
/// it should be.
#[rustfmt::skip]
const FROM_DC: [Weights; 5] = [
    [[0; 5], [0; 5], [-7, 50, 0, -50, 7], [0; 5], [0; 5]],
    [[0, 0, -7, 0, 0], [0, 0, 50, 0, 0], [0; 5], [0, 0, -50, 0, 0], [0, 0, 7, 0, 0]],
    [[0, 0, -1, 0, 0], [0, 0, 13, 0, 0], [0, 0, -24, 0, 0], [0, 0, 13, 0, 0], [0, 0, -1, 0, 0]],
    [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], [0; 5], [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]],
    [[0; 5], [0; 5], [-1, 13, -24, 13, -1], [0; 5], [0; 5]],
];

/// The same for index 1 to 9 where there is only DC.
#[rustfmt::skip]
const FROM_DC_ALONE: [Weights; ESTIMATED] = [
    [[-1, -1, 0, 1, 1], [-3, 13, 0, -13, 3], [-3, 38, 0, -38, 3], [-3, 13, 0, -13, 3], [-1, -1, 0, 1, 1]],
    [[-1, -3, -3, -3, -1], [-1, 13, 38, 13, -1], [0; 5], [1, -13, -38, -13, 1], [1, 3, 3, 3, 1]],
    [[0, 0, 1, 0, 0], [0, 2, 7, 2, 0], [0, -5, -14, -5, 0], [0, 2, 7, 2, 0], [0, 0, 1, 0, 0]],
    [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], [0; 5], [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]],
    [[0; 5], [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, -3, 1, 0], [0; 5], [0, -1, 3, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 0, -1, 0], [0, -3, 0, 3, 0], [0, 1, 0, -1, 0], [0; 5]],
    [[0; 5], [0, 1, 2, 1, 0], [0; 5], [0, -1, -2, -1, 0], [0; 5]],
];

/// And for DC itself.
#[rustfmt::skip]
const DC: Weights = [
    [-2, -6, -8, -6, -2],
    [-6, 6, 42, 6, -6],
    [-8, 42, 152, 42, -8],
    [-6, 6, 42, 6, -6],
    [-2, -6, -8, -6, -2],
];
