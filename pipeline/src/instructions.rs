//! Which of the processor's instructions are used: a choice for comparing them, for the bytes are always the same.

use std::sync::atomic::{AtomicU8, Ordering};

/// The most that decoding and augmentation may use; what the processor has not, they do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Instructions {
    /// Those of every processor of the target: the reference that the others are held against, byte for byte.
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
    /// Keeps every decoder and augmenter that this process makes from now on to these instructions.
    pub fn limit(self) {
        MOST.store(self as u8, Ordering::Relaxed);
    }

    /// Whether these instructions, and the process's limit, include those of `set`.
    pub(crate) fn include(self, set: Self) -> bool {
        set <= self && set as u8 <= MOST.load(Ordering::Relaxed)
    }
}
