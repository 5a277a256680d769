//! Limits the instruction set of the kernels. Results have the same bits with each; the limit serves comparisons.

use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets that kernels are written for, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Instructions {
    /// The target's baseline.
    Scalar,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
    /// AVX-512, and AMX for products in bf16.
    Amx,
}

static MOST: AtomicU8 = AtomicU8::new(Instructions::Amx as u8);

impl Instructions {
    /// The best set that this processor has.
    pub fn detected() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if super::bf16::is_permitted() {
                return Self::Amx;
            }
            return if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Scalar
    }

    /// Limits all kernels of this process to this set from now on, or to the best lower set that the processor has.
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
