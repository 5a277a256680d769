//! JPEG. The project's own decoder reads sequential Huffman-coded files with one or three components of 8 bits, whole or in
//! part, with the pixels of libjpeg-turbo's default path; `fallback` reads the rest through zune-jpeg.
//!
//! `header -> unstuff -> baseline (entropy -> idct -> rows (upsample -> color))`

mod baseline;
mod bits;
mod color;
mod entropy;
mod fallback;
mod header;
mod huffman;
mod idct;
mod kernels;
mod layout;
mod markers;
mod rows;
mod steps;
mod tables;
mod unstuff;
mod upsample;

#[cfg(test)]
mod tests;

pub(super) use header::probe;

use baseline::{Samples, Scan};
use entropy::{Coder, Damage};
use header::Header;
#[cfg(target_arch = "x86_64")]
use kernels::Avx2;
use kernels::Scalar;
use layout::Layout;
use tables::Tables;
use unstuff::{End, Unstuffed};

use super::{DecodeError, ImageFormat, ImageInfo, free_oversized};
use crate::image::{Region, Wanted};
use crate::instructions::Instructions;

/// Tables and scratch memory that are kept from one file to the next.
#[derive(Debug, Default)]
pub(super) struct JpegDecoder {
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "there is only one set"))]
    instructions: Instructions,
    tables: Tables,
    unstuffed: Unstuffed,
    samples: Samples,
    ink: Vec<u8>,
}

/// What came of a request for a part of an image.
pub(super) enum Decoded {
    /// The pixels of the part, at the scale asked for.
    Part(Region),
    /// The whole image at full scale.
    Whole,
}

impl JpegDecoder {
    pub(super) fn new(instructions: Instructions) -> Self {
        Self { instructions, ..Self::default() }
    }

    /// Frees buffers that are too large to be kept for an image of `pixels` in a file of `file` bytes.
    pub(super) fn free_oversized(&mut self, file: usize, pixels: usize, kept_bytes: usize) {
        self.unstuffed.free_oversized(file, kept_bytes);
        free_oversized(&mut self.ink, 4 * pixels, kept_bytes);
    }

    /// Capacities of the buffers that grow with a file or an image, in bytes.
    #[cfg(test)]
    pub(super) fn capacities(&self) -> [usize; 3] {
        let [bytes, ends] = self.unstuffed.capacities();
        [bytes, ends, self.ink.capacity()]
    }

    /// Decodes at least what is `wanted` of a file to RGB. Pixels beyond those of the answer are left over from earlier
    /// images.
    ///
    /// Damaged or missing entropy-coded data is an error, where libjpeg would warn and fill in gray.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        info: &ImageInfo,
        wanted: &Wanted,
        rgb: &mut Vec<u8>,
    ) -> Result<Decoded, DecodeError> {
        // Each 8 x 8 block takes a bit or more: a small file with a huge header must not allocate what it promises.
        if (bytes.len() as u64) < info.pixels() / 64 / 8 {
            return Err(TRUNCATED);
        }
        if let Some(header) = header::read(bytes, &mut self.tables)
            && let Some(region) = self.decode_baseline(&header, wanted, rgb)?
        {
            return Ok(Decoded::Part(region));
        }
        fallback::decode(bytes, info, &mut self.ink, rgb)?;
        Ok(Decoded::Whole)
    }

    /// `None` if the tables or what follows the scan are out of the ordinary.
    fn decode_baseline(
        &mut self,
        header: &Header<'_>,
        wanted: &Wanted,
        rgb: &mut Vec<u8>,
    ) -> Result<Option<Region>, DecodeError> {
        let coder = |component: &header::Component| {
            let (dc, ac) = (self.tables.dc(component.dc)?, self.tables.ac(component.ac)?);
            Some(Coder { dc, ac, steps: self.tables.steps(component.quantization)? })
        };
        let mut coders = [None; 3];
        for (slot, component) in coders.iter_mut().zip(header.components.iter()) {
            *slot = coder(component);
        }
        let (coders, count) = match coders {
            [Some(y), Some(cb), Some(cr)] => ([y, cb, cr], 3),
            [Some(gray), None, None] if header.components.len() == 1 => ([gray; 3], 1),
            _ => return Ok(None),
        };
        match self.unstuffed.fill(header.scan)? {
            End::Image => {}
            End::File => return Err(TRUNCATED),
            End::Other => return Ok(None),
        }
        let layout = Layout::new(header, wanted);
        let pixel_bytes = 3 * layout.region.width * layout.region.height;
        if rgb.len() < pixel_bytes {
            rgb.resize(pixel_bytes, 0);
        }
        let scan = Scan {
            data: &self.unstuffed,
            layout: &layout,
            coders: &coders[..count],
            restart_interval: header.restart_interval,
        };
        #[cfg(target_arch = "x86_64")]
        if self.instructions == Instructions::Detected
            && let Some(avx2) = Avx2::detect()
        {
            // SAFETY: `avx2` proves that the processor has what the function needs.
            unsafe { decode_avx2(avx2, &scan, &mut self.samples, rgb) }?;
            return Ok(Some(layout.region));
        }
        scan.decode(Scalar, &mut self.samples, rgb)?;
        Ok(Some(layout.region))
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,movbe")]
fn decode_avx2(avx2: Avx2, scan: &Scan<'_>, samples: &mut Samples, rgb: &mut [u8]) -> Result<(), Damage> {
    scan.decode(avx2, samples, rgb)
}

const TRUNCATED: DecodeError = DecodeError::Truncated(ImageFormat::Jpeg);

impl From<Damage> for DecodeError {
    fn from(damage: Damage) -> Self {
        malformed(match damage {
            Damage::Code => "a code that is not in its Huffman table",
            Damage::Index => "a coefficient beyond the last of its block",
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
