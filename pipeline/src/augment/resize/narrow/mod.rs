//! The horizontal pass: each row of interleaved pixels becomes a shorter or longer row of each channel.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::{Axis, Filter};
use crate::augment::cpu::Cpu;

/// Rows that are narrowed together, one group of positions after another: few enough that the processor fetches each of
/// them ahead.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 8;

/// The horizontal pass of one view.
#[derive(Debug)]
pub(super) struct Narrow {
    filter: Filter,
    kernel: Kernel,
    #[cfg(target_arch = "x86_64")]
    avx2: avx2::Table,
    #[cfg(target_arch = "x86_64")]
    avx512: avx512::Table,
    cpu: Cpu,
}

/// How the planned filter is applied.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(crate::augment::cpu::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(crate::augment::cpu::Avx512),
}

impl Narrow {
    pub(super) fn new(cpu: Cpu) -> Self {
        Self {
            filter: Filter::default(),
            kernel: Kernel::Scalar,
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Table::default(),
            #[cfg(target_arch = "x86_64")]
            avx512: avx512::Table::default(),
            cpu,
        }
    }

    /// Plans the filter along `columns`, mirrored if `flip`.
    pub(super) fn plan(&mut self, columns: &Axis, flip: bool) {
        self.filter.plan(columns, flip);
        self.kernel = match self.cpu {
            Cpu::Plain => Kernel::Scalar,
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx2(avx2) => {
                self.avx2.fill(&self.filter);
                Kernel::Avx2(avx2)
            }
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx512(avx512) if self.avx512.fill(&self.filter, columns.seen().len() * 3) => {
                Kernel::Avx512(avx512)
            }
            #[cfg(target_arch = "x86_64")]
            Cpu::Avx512(avx512) => {
                self.avx2.fill(&self.filter);
                Kernel::Avx2(avx512.avx2())
            }
        };
    }

    /// Writes a row of each channel for each source row.
    pub(super) fn rows(&self, source: Rows<'_>, target: Target<'_>) {
        match self.kernel {
            Kernel::Scalar => scalar::rows(&self.filter, source, target),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(avx2) => self.avx2.rows(avx2, source, target),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(avx512) => self.avx512.rows(avx512, source, target),
        }
    }
}

/// Rows of interleaved pixels, as many as the planned axis sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// From the first row's first pixel on.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Bytes of a row that count.
    pub(super) width: usize,
    /// Number of rows.
    pub(super) count: usize,
}

impl<'a> Rows<'a> {
    fn row(&self, y: usize) -> &'a [u8] {
        &self.row_and_rest(y)[..self.width]
    }

    /// A row and all that follows it.
    fn row_and_rest(&self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..]
    }
}

/// Where the rows of the three channels go.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) bytes: &'a mut [u8],
    /// Bytes from one row to the next.
    pub(super) row_stride: usize,
    /// Bytes from one channel to the next.
    pub(super) channel_stride: usize,
    /// Bytes of a row.
    pub(super) size: usize,
}

impl Target<'_> {
    fn row(&mut self, y: usize) -> [&mut [u8]; 3] {
        let (r, rest) = self.bytes[y * self.row_stride..].split_at_mut(self.channel_stride);
        let (g, b) = rest.split_at_mut(self.channel_stride);
        [r, g, b].map(|row| &mut row[..self.size])
    }
}
