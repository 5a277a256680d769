//! Selects the instruction set of decoding and augmentation. The bytes are the same with each; the choice serves
//! comparisons.

use std::sync::atomic::{AtomicU8, Ordering};

/// The best instruction set that decoding and augmentation may use, as far as the processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Instructions {
    /// The target's baseline: the reference that tests compare the others with, byte for byte.
    Plain,
    /// AVX2.
    Avx2,
    /// AVX-512.
    Avx512,
    /// The best that the processor has.
    #[default]
    Detected,
}

static MOST: AtomicU8 = AtomicU8::new(Instructions::Detected as u8);

impl Instructions {
    /// Limits every decoder and augmenter that this process creates from now on to these instructions.
    pub fn limit(self) {
        MOST.store(self as u8, Ordering::Relaxed);
    }

    /// Whether these instructions, and the process's limit, include those of `set`.
    pub(crate) fn include(self, set: Self) -> bool {
        set <= self && set as u8 <= MOST.load(Ordering::Relaxed)
    }
}
