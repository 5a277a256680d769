//! The horizontal pass: each row of interleaved pixels becomes a shorter or longer row of each channel.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::{Axis, Filter};
use crate::augment::cpu::Cpu;

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

    /// Writes one row of each channel. `row` holds the pixels that the planned axis sees.
    pub(super) fn row(&self, row: &[u8], out: [&mut [u8]; 3]) {
        match self.kernel {
            Kernel::Scalar => scalar::row(&self.filter, row, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(avx2) => self.avx2.row(avx2, row, out),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512(avx512) => self.avx512.row(avx512, row, out),
        }
    }
}
