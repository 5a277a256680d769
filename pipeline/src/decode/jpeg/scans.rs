//! Decodes one of several scans into the coefficients.

use super::coefficients::{AlignedBlock, Coefficients};
use super::entropy::progressive::{self, Band};
use super::entropy::{Coder, Damage, LongBlock};
use super::header::{Frame, MOST_COMPONENTS, Scan, Selected};
use super::huffman::HuffmanTable;
use super::idct::Block;
use super::kernels::{Kernels, Task};
use super::layout::McuGrid;
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
    pub(super) layout: &'a McuGrid,
    /// Rows of MCUs from the top that are needed.
    pub(super) mcu_rows: usize,
    pub(super) coefficients: &'a mut Coefficients,
}

impl Task for Pass<'_> {
    #[inline(always)]
    fn run<K: Kernels>(self, kernels: K) -> Result<(), Damage> {
        let (tables, Scan { first, last, high, low, .. }) = (self.tables, *self.scan);
        let only = self.scan.components()[0];
        let band = || Band { table: tables.band(only.ac), first, last, low };
        match (self.frame.progressive, first, high) {
            (false, ..) => {
                let coders = self.each(|selected| Coder {
                    dc: tables.dc(selected.dc),
                    ac: tables.ac(selected.ac),
                    steps: &self.steps[selected.component],
                });
                self.each_block(Whole { kernels, coders, long: LongBlock::EMPTY })
            }
            (true, 0, 0) => {
                let tables = self.each(|selected| tables.dc(selected.dc));
                self.each_block(FirstDc { tables, low })
            }
            (true, 0, _) => self.each_block(RefinedDc { low }),
            // A sample that is a block's only one needs no more than DC.
            (true, ..) if self.layout.planes[only.component].side == 1 => Ok(()),
            (true, _, 0) => self.each_block(FirstBand(band())),
            (true, ..) => self.each_block(RefinedBand(band())),
        }
    }
}

/// A block where a scan has come to it.
struct Reached<'a, 'data> {
    segment: &'a mut Segment<'data>,
    /// The component's number within the scan.
    number: usize,
    block: &'a mut Block,
    /// The block's, of [`Coefficients::nonzero`].
    nonzero: &'a mut u64,
}

/// What a kind of scan adds to a block.
trait Kind {
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage>;
}

struct Whole<'a, K> {
    kernels: K,
    coders: [Coder<'a>; MOST_COMPONENTS],
    long: LongBlock,
}

impl<K: Kernels> Kind for Whole<'_, K> {
    #[inline(always)]
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage> {
        let Segment { bits, predictions, .. } = at.segment;
        let (coder, prediction) = (&self.coders[at.number], &mut predictions[at.number]);
        let last = self.kernels.decode(coder, bits, prediction, &mut self.long)?;
        *at.block = *self.long.block();
        *at.nonzero = last as u64;
        Ok(())
    }
}

struct FirstDc<'a> {
    tables: [&'a HuffmanTable; MOST_COMPONENTS],
    low: u32,
}

impl Kind for FirstDc<'_> {
    #[inline(always)]
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage> {
        let Segment { bits, predictions, .. } = at.segment;
        progressive::first_dc(self.tables[at.number], self.low, bits, &mut predictions[at.number], at.block)
    }
}

struct RefinedDc {
    low: u32,
}

impl Kind for RefinedDc {
    #[inline(always)]
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage> {
        progressive::refine_dc(self.low, &mut at.segment.bits, at.block);
        Ok(())
    }
}

struct FirstBand<'a>(Band<'a>);

impl Kind for FirstBand<'_> {
    #[inline(always)]
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage> {
        self.0.decode(&mut at.segment.bits, &mut at.segment.ended, at.block, at.nonzero)
    }
}

struct RefinedBand<'a>(Band<'a>);

impl Kind for RefinedBand<'_> {
    #[inline(always)]
    fn add(&mut self, at: Reached<'_, '_>) -> Result<(), Damage> {
        self.0.refine(&mut at.segment.bits, &mut at.segment.ended, at.block, at.nonzero)
    }
}

impl Pass<'_> {
    /// Something for each component of the scan; the rest of the array is never looked at.
    fn each<T: Copy>(&self, of: impl Fn(&Selected) -> T) -> [T; MOST_COMPONENTS] {
        let components = self.scan.components();
        std::array::from_fn(|number| of(&components[number.min(components.len() - 1)]))
    }

    /// Goes through the scan's blocks in their order (A.2).
    #[inline(always)]
    fn each_block(self, mut kind: impl Kind) -> Result<(), Damage> {
        let Coefficients { blocks, nonzero, grids } = self.coefficients;
        let mut segments = Segments::new(self.data, self.restart_interval, 0)?.0;
        if let [only] = self.scan.components() {
            let grid = &grids[only.component];
            for row in 0..grid.height.min(self.mcu_rows * grid.v) {
                let places = grid.start + row * grid.stride..grid.start + row * grid.stride + grid.width;
                for (AlignedBlock(block), nonzero) in
                    blocks[places.clone()].iter_mut().zip(&mut nonzero[places])
                {
                    let segment = segments.next_mcu()?;
                    kind.add(Reached { segment, number: 0, block, nonzero })?;
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
                            let (block, nonzero) = (&mut blocks[place].0, &mut nonzero[place]);
                            kind.add(Reached { segment, number, block, nonzero })?;
                        }
                    }
                }
            }
            segments.check()?;
        }
        Ok(())
    }
}
