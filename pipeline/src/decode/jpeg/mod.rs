//! Decodes JPEGs like libjpeg-turbo's default path, whole or in part: every Huffman-coded file of 8 bits, sequential or
//! progressive, in one scan or many, with one, three or four components.
//!
//! `header -> unstuff -> sequential (entropy -> idct -> rows (upsample -> color))` if a scan has all components;
//! otherwise `(header -> unstuff -> scans (entropy))... -> coefficients (smooth -> idct -> rows)`. `second_opinion`
//! asks zune-jpeg.

mod bits;
mod coefficients;
mod color;
mod entropy;
mod header;
mod huffman;
mod idct;
mod kernels;
mod layout;
mod markers;
mod rows;
mod scans;
mod second_opinion;
mod segment;
mod sequential;
mod smooth;
mod standard;
mod steps;
mod tables;
mod unstuff;
mod upsample;

#[cfg(test)]
mod tests;

pub(super) use header::probe;
pub(super) use second_opinion::differing_share;

use coefficients::{Coefficients, Render};
use entropy::{Coder, Damage};
use header::{Frame, MOST_COMPONENTS, Reader, Scan};
use layout::McuGrid;
use rows::{Rows, Samples};
use scans::Pass;
use sequential::Sequential;
use smooth::Knowledge;
use steps::Steps;
use tables::Tables;
use unstuff::Unstuffed;

use super::{DecodeError, ImageFormat, ImageInfo, free_oversized};
use crate::image::{Region, Wanted};
use crate::instructions::Instructions;

/// Scans that a file may have: encoders write about ten, and each takes time however few its bytes are.
const MOST_SCANS: usize = 500;

/// Tables and scratch memory that are kept from one file to the next.
#[derive(Debug, Default)]
pub(super) struct JpegDecoder {
    instructions: Instructions,
    tables: Tables,
    /// The quantisation steps of each component.
    steps: [Steps; MOST_COMPONENTS],
    unstuffed: Unstuffed,
    samples: Samples,
    coefficients: Coefficients,
}

impl JpegDecoder {
    pub(super) fn new(instructions: Instructions) -> Self {
        Self { instructions, ..Self::default() }
    }

    /// Frees buffers that are too large to be kept for an image of `pixels` in a file of `file` bytes.
    pub(super) fn free_oversized(&mut self, file: usize, pixels: usize, kept_bytes: usize) {
        self.unstuffed.free_oversized(file, kept_bytes);
        self.coefficients.free_oversized(pixels, kept_bytes);
    }

    /// Capacities of the buffers that grow with a file or an image, in bytes.
    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 3] {
        let [bytes, ends] = self.unstuffed.capacities();
        [bytes, ends, self.coefficients.blocks.capacity() * size_of::<idct::Block>()]
    }

    /// Decodes what is `wanted` of a file, which must not be empty, to RGB; gives where that lies in the scaled image. Pixels
    /// beyond those of the answer are left over from earlier images.
    ///
    /// Damaged or missing entropy-coded data is an error, where libjpeg would warn and fill in gray.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        wanted: &Wanted,
        rgb: &mut Vec<u8>,
    ) -> Result<Region, DecodeError> {
        // Each 8 x 8 block takes a bit or more: a small file with a huge header must not allocate what it promises.
        if (bytes.len() as u64) < info.pixels() / 64 / 8 {
            return Err(TRUNCATED);
        }
        self.tables.forget();
        let mut reader = Reader::new(bytes)?;
        let (frame, scan) = reader.next_scan(&mut self.tables)?.ok_or_else(|| malformed("no scan"))?;
        let complete = frame.is_complete_in(&scan);
        let frame = if complete { frame.of_single_blocks() } else { frame };
        let layout = McuGrid::new(&frame, reader.coding(&frame), wanted);
        let pixel_bytes = 3 * layout.region.width * layout.region.height;
        if rgb.len() < pixel_bytes {
            rgb.resize(pixel_bytes, 0);
        }
        if complete {
            self.decode_sequential(&mut reader, &frame, &scan, &layout, rgb)?;
        } else {
            self.decode_scans(&mut reader, &frame, scan, &layout, rgb)?;
        }
        Ok(layout.region)
    }

    /// Decodes a scan that has everything, straight to pixels.
    fn decode_sequential(
        &mut self,
        reader: &mut Reader<'_>,
        frame: &Frame,
        scan: &Scan,
        layout: &McuGrid,
        rgb: &mut [u8],
    ) -> Result<(), DecodeError> {
        let restart_interval = reader.restart_interval;
        self.keep_steps(frame, scan, &mut [false; MOST_COMPONENTS])?;
        for selected in scan.components() {
            self.tables.build_sequential(selected.dc, selected.ac)?;
        }
        self.read_data(reader)?;
        let first = scan.components()[0];
        let coder = |selected: &header::Selected| Coder {
            dc: self.tables.dc(selected.dc),
            ac: self.tables.ac(selected.ac),
            steps: &self.steps[selected.component],
        };
        let mut coders = [coder(&first); MOST_COMPONENTS];
        coders.iter_mut().zip(scan.components()).for_each(|(slot, selected)| *slot = coder(selected));
        let sequential = Sequential {
            data: &self.unstuffed,
            layout,
            coders: &coders[..scan.components().len()],
            restart_interval,
            rows: Rows::new(layout, &mut self.samples, rgb),
        };
        kernels::run(self.instructions, sequential)?;
        reader.end(&mut self.tables)
    }

    /// Decodes scan after scan to coefficients, from `scan` on, and these to pixels.
    fn decode_scans(
        &mut self,
        reader: &mut Reader<'_>,
        frame: &Frame,
        scan: Scan,
        layout: &McuGrid,
        rgb: &mut [u8],
    ) -> Result<(), DecodeError> {
        // Smoothing looks at the two rows below.
        let mcu_rows = (layout.rows.end + 2).min(layout.mcus_down);
        self.coefficients.clear(frame, layout, mcu_rows);
        self.steps.fill(Steps::ZERO);
        let mut kept = [false; MOST_COMPONENTS];
        let mut knowledge = Knowledge::default();
        let (mut next, mut count) = (Some(scan), 0);
        while let Some(scan) = next {
            count += 1;
            if count > MOST_SCANS {
                return Err(malformed(format!("more than {MOST_SCANS} scans")));
            }
            self.keep_steps(frame, &scan, &mut kept)?;
            self.build_tables(frame, &scan)?;
            let restart_interval = reader.restart_interval;
            self.read_data(reader)?;
            let pass = Pass {
                data: &self.unstuffed,
                tables: &self.tables,
                frame,
                scan: &scan,
                steps: &self.steps,
                restart_interval,
                layout,
                mcu_rows,
                coefficients: &mut self.coefficients,
            };
            kernels::run(self.instructions, pass)?;
            knowledge.add(&scan);
            next = reader.next_scan(&mut self.tables)?.map(|(_, scan)| scan);
        }
        let smoothing = knowledge.smoothing(frame, layout, &self.steps);
        let render = Render {
            coefficients: &self.coefficients,
            layout,
            steps: &self.steps,
            smoothing: smoothing.as_ref(),
            rows: Rows::new(layout, &mut self.samples, rgb),
        };
        Ok(kernels::run(self.instructions, render)?)
    }

    /// Reads a scan's data, up to the marker behind it.
    fn read_data(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        reader.rest = self.unstuffed.fill(reader.rest)?;
        if reader.rest.len() < 2 { Err(TRUNCATED) } else { Ok(()) }
    }

    /// Keeps the quantisation steps of components that a scan is the first of: a later scan may redefine the table.
    fn keep_steps(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        kept: &mut [bool; MOST_COMPONENTS],
    ) -> Result<(), DecodeError> {
        for selected in scan.components() {
            if !std::mem::replace(&mut kept[selected.component], true) {
                let number = frame.components()[selected.component].quantization;
                self.steps[selected.component].clone_from(self.tables.steps(number)?);
            }
        }
        Ok(())
    }

    /// Builds the Huffman tables that a scan uses.
    fn build_tables(&mut self, frame: &Frame, scan: &Scan) -> Result<(), DecodeError> {
        for selected in scan.components() {
            match (frame.progressive, scan.first, scan.high) {
                (false, ..) => self.tables.build_sequential(selected.dc, selected.ac)?,
                (true, 0, 0) => self.tables.build_dc(selected.dc)?,
                (true, 0, _) => {} // Bits without a code.
                (true, ..) => self.tables.build_band(selected.ac)?,
            }
        }
        Ok(())
    }
}

const TRUNCATED: DecodeError = DecodeError::Truncated(ImageFormat::Jpeg);

impl From<Damage> for DecodeError {
    fn from(damage: Damage) -> Self {
        malformed(match damage {
            Damage::Code => "a code that is not in its Huffman table",
            Damage::Index => "a coefficient beyond the last of its block",
            Damage::Size => "a coefficient of several bits where a scan adds one",
            Damage::Ended => "the entropy-coded data ends before its blocks do",
            Damage::Restart => "a restart marker is missing or out of sequence",
        })
    }
}

fn malformed(reason: impl Into<String>) -> DecodeError {
    DecodeError::Malformed { format: ImageFormat::Jpeg, reason: reason.into().trim().to_owned() }
}

fn unsupported(reason: impl Into<String>) -> DecodeError {
    DecodeError::Unsupported { format: ImageFormat::Jpeg, reason: reason.into() }
}
