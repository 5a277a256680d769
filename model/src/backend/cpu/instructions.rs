//! Which of the processor's instructions the kernels use: a limit for comparing them, for the bits are the same.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions that kernels are written for, from what every processor has upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Instructions {
    /// Those of every processor of the target.
    Scalar,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
}

static MOST: AtomicU8 = AtomicU8::new(Instructions::Avx512 as u8);

impl Instructions {
    /// The best set that this processor has.
    pub fn detected() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Scalar
    }

    /// Keeps all kernels of this process to this set from now on, or to the best that the processor has below it.
    pub fn limit(self) {
        MOST.store(self as u8, Ordering::Relaxed);
    }

    /// Whether the processor has this set and the limit includes it.
    pub(super) fn are_usable(self) -> bool {
        self.are_allowed() && self <= Self::detected()
    }

    fn are_allowed(self) -> bool {
        self as u8 <= MOST.load(Ordering::Relaxed)
    }
}

/// Runs a loop compiled for the widest vectors that this machine has and the limit allows.
#[inline(always)]
pub(super) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    let arch = if Instructions::Avx2.are_allowed() { pulp::Arch::new() } else { pulp::Arch::Scalar };
    arch.dispatch(work)
}
