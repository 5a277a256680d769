//! Limits the instruction set of the kernels. In single precision, results have the same bits with each; the limit serves comparisons.

use std::sync::OnceLock;
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
    /// AVX-512, and its dot products (`VDPBF16PS`) for products in bf16.
    Avx512Bf16,
    /// AVX-512, and AMX for products in bf16.
    Amx,
}

static MOST: AtomicU8 = AtomicU8::new(Instructions::Amx as u8);

impl Instructions {
    /// The best set that this processor has.
    pub fn detected() -> Self {
        static DETECTED: OnceLock<Instructions> = OnceLock::new();
        // Asking the processor takes long on a virtual machine.
        *DETECTED.get_or_init(Self::detect)
    }

    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let in_f32 = if is_x86_feature_detected!("avx512f") { Self::Avx512 } else { Self::Avx2 };
            return super::bf16::Engine::best_instructions().unwrap_or(in_f32);
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

/// Runs a loop compiled for AVX2, where this machine has it and the limit allows it.
#[inline(always)]
pub(super) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    let arch = if Instructions::Avx2.are_allowed() { pulp::Arch::new() } else { pulp::Arch::Scalar };
    arch.dispatch(work)
}
