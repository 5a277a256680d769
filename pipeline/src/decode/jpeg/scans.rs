//! One of several scans: what it says of the coefficients is added to them.

use super::coefficients::{AlignedBlock, Coefficients};
use super::entropy::progressive::{self, Band};
use super::entropy::{Coder, Damage, LongBlock};
use super::header::{Frame, MOST_COMPONENTS, Scan};
use super::kernels::{Kernels, Task};
use super::layout::Layout;
use super::segment::{Segment, Segments};
use super::steps::Steps;
use super::tables::Tables;
use super::unstuff::Unstuffed;

/// A scan of some components, down to where the part ends.
pub(super) struct Pass<'a> {
    pub(super) data: &'a Unstuffed,
    pub(super) tables: &'a Tables,
    pub(super) frame: &'a Frame,
    pub(super) scan: &'a Scan,
    pub(super) steps: &'a [Steps; MOST_COMPONENTS],
    pub(super) restart_interval: usize,
    pub(super) layout: &'a Layout,
    /// Rows of MCUs from the top that are needed.
    pub(super) mcu_rows: usize,
    pub(super) coefficients: &'a mut Coefficients,
}

impl Task for Pass<'_> {
    #[inline(always)]
    fn run<K: Kernels>(self, kernels: K) -> Result<(), Damage> {
        let Scan { first, last, high, low, .. } = *self.scan;
        let only = self.scan.components()[0];
        // A sample that is a block's only one needs no more than DC.
        let dc_is_enough = |component: usize| self.layout.planes[component].side == 1;
        match (self.frame.progressive, first, high) {
            (false, ..) => {
                let mut long = LongBlock::EMPTY;
                let coders = self.coders();
                self.each_block(|segment, number, block, nonzero| {
                    let Some(coder) = &coders[number] else { return Ok(()) };
                    let prediction = &mut segment.predictions[number];
                    let end = kernels.decode(coder, &mut segment.bits, prediction, &mut long)?;
                    *block = *long.block();
                    *nonzero = end as u64;
                    Ok(())
                })
            }
            (true, 0, 0) => {
                let tables = self.scan.components().iter().map(|selected| self.tables.dc(selected.dc));
                let mut each = [None; MOST_COMPONENTS];
                each.iter_mut().zip(tables).for_each(|(slot, table)| *slot = Some(table));
                self.each_block(|segment, number, block, _| {
                    let Some(table) = each[number] else { return Ok(()) };
                    let prediction = &mut segment.predictions[number];
                    progressive::first_dc(table, low, &mut segment.bits, prediction, block)
                })
            }
            (true, 0, _) => self.each_block(|segment, _, block, _| {
                progressive::refine_dc(low, &mut segment.bits, block);
                Ok(())
            }),
            _ if dc_is_enough(only.component) => Ok(()),
            (true, _, 0) => {
                let band = Band { table: self.tables.band(only.ac), first, last, low };
                self.each_block(|segment, _, block, nonzero| {
                    band.decode(&mut segment.bits, &mut segment.ended, block, nonzero)
                })
            }
            (true, ..) => {
                let band = Band { table: self.tables.band(only.ac), first, last, low };
                self.each_block(|segment, _, block, nonzero| {
                    band.refine(&mut segment.bits, &mut segment.ended, block, nonzero)
                })
            }
        }
    }
}

impl<'a> Pass<'a> {
    fn coders(&self) -> [Option<Coder<'a>>; MOST_COMPONENTS] {
        let mut coders = [None; MOST_COMPONENTS];
        for (slot, selected) in coders.iter_mut().zip(self.scan.components()) {
            let (dc, ac) = (self.tables.dc(selected.dc), self.tables.ac(selected.ac));
            *slot = Some(Coder { dc, ac, steps: &self.steps[selected.component] });
        }
        coders
    }

    /// Goes through the scan's blocks in their order (A.2). `visit` gets the component's number within the scan, the block,
    /// and the set of its AC coefficients that are not 0.
    #[inline(always)]
    fn each_block(
        self,
        mut visit: impl FnMut(&mut Segment<'_>, usize, &mut [i16; 64], &mut u64) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let Coefficients { blocks, nonzero, grids } = self.coefficients;
        let mut segments = Segments::new(self.data, self.restart_interval, 0)?.0;
        if let [only] = self.scan.components() {
            let grid = &grids[only.component];
            for row in 0..grid.height.min(self.mcu_rows * grid.v) {
                let places = grid.start + row * grid.stride..grid.start + row * grid.stride + grid.width;
                for (AlignedBlock(block), nonzero) in
                    blocks[places.clone()].iter_mut().zip(&mut nonzero[places])
                {
                    visit(segments.next_mcu()?, 0, block, nonzero)?;
                }
                segments.check()?;
            }
            return Ok(());
        }
        for row in 0..self.mcu_rows {
            for column in 0..self.layout.mcus_across {
                let segment = segments.next_mcu()?;
                for (number, selected) in self.scan.components().iter().enumerate() {
                    let grid = &grids[selected.component];
                    let h = grid.stride / self.layout.mcus_across;
                    for y in 0..grid.v {
                        let first = grid.start + (row * grid.v + y) * grid.stride + column * h;
                        for place in first..first + h {
                            visit(segment, number, &mut blocks[place].0, &mut nonzero[place])?;
                        }
                    }
                }
            }
            segments.check()?;
        }
        Ok(())
    }
}
