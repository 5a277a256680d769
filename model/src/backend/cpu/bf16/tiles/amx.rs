//! Tiles by Intel's Advanced Matrix Extensions, as inline assembly: the intrinsics are not stable.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;

use super::{Factors, Sums};
use crate::backend::cpu::Instructions;

/// AMX adds, for each step of depth, two chains of fused multiply-adds that begin at 0, of the even and of the odd halves; their
/// sum is added to what the steps before gave. A value is the proof that this process may use AMX with bf16.
#[derive(Clone, Copy)]
pub(in super::super::super) struct Amx(());

impl Amx {
    /// `None` if the machine or the kernel can't, or [`Instructions::limit`] is below.
    pub(super) fn detect() -> Option<Self> {
        Instructions::Amx.are_usable().then_some(Self(()))
    }
}

/// Whether the processor has AMX with bf16, and the kernel lets this process use it: its registers are too large to be saved
/// for every process, so each has to ask once.
pub(super) fn is_permitted() -> bool {
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    let is_there =
        is_x86_feature_detected!("avx512f") && __cpuid_count(7, 0).edx & BF16_AND_TILES == BF16_AND_TILES;
    is_there && cfg!(target_os = "linux") && ask_kernel()
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`; a kernel that does not know it, before Linux 5.16, says no.
fn ask_kernel() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes nothing but what this process may use.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// All eight tiles as 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Amx {
    /// As [`Engine::ready`](super::Engine::ready): the tiles are set up, and given back.
    pub(super) fn ready<R>(self, work: impl FnOnce() -> R) -> R {
        /// Also when the work panics.
        struct Released;
        impl Drop for Released {
            fn drop(&mut self) {
                // SAFETY: there is a configuration to release.
                unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
            }
        }
        // SAFETY: a value of this type exists only where the process may use AMX.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly, preserves_flags));
        }
        let _released = Released;
        work()
    }

    /// # Safety
    /// As [`Engine::sum`](super::Engine::sum).
    #[inline(always)]
    pub(super) unsafe fn sum<const M: usize, const N: usize>(
        self,
        &Factors { left, row, offsets, right }: &Factors<'_, M, N>,
        sums: &mut Sums,
    ) {
        if offsets.is_empty() {
            return sums.0.fill(0.0);
        }
        // SAFETY: a value of this type exists only where the process may use AMX; the caller promises the rest.
        unsafe {
            match (M, N) {
                (4, 1) => sum_4x1([left[0], left[1], left[2], left[3]], row, offsets, right[0], sums),
                (2, 2) => sum_2x2([left[0], left[1]], row, offsets, [right[0], right[1]], sums),
                _ => unreachable!("tiles come as 4 x 1 or 2 x 2"),
            }
        }
    }
}

/// As [`Engine::sum`](super::Engine::sum).
#[inline(never)]
unsafe fn sum_4x1(left: [*const u16; 4], row: usize, offsets: &[u32], right: *const u32, sums: &mut Sums) {
    // SAFETY: the caller promises what is read; the results are as many as the sums.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {at:e}, dword ptr [{offset}]",
            "tileloadd tmm6, [{right} + {line}]",
            "lea {from}, [{a} + 2*{at}]",
            "tileloadd tmm4, [{from} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "lea {from}, [{b} + 2*{at}]",
            "tileloadd tmm5, [{from} + {row}]",
            "tdpbf16ps tmm1, tmm5, tmm6",
            "lea {from}, [{c} + 2*{at}]",
            "tileloadd tmm4, [{from} + {row}]",
            "tdpbf16ps tmm2, tmm4, tmm6",
            "lea {from}, [{d} + 2*{at}]",
            "tileloadd tmm5, [{from} + {row}]",
            "tdpbf16ps tmm3, tmm5, tmm6",
            "add {offset}, 4",
            "add {right}, 1024",
            "cmp {offset}, {end}",
            "jne 2b",
            "tilestored [{sums} + {line}], tmm0",
            "tilestored [{sums} + {line} + 1024], tmm1",
            "tilestored [{sums} + {line} + 2048], tmm2",
            "tilestored [{sums} + {line} + 3072], tmm3",
            a = in(reg) left[0], b = in(reg) left[1], c = in(reg) left[2], d = in(reg) left[3],
            row = in(reg) 2 * row,
            offset = inout(reg) offsets.as_ptr() => _, end = in(reg) offsets.as_ptr_range().end,
            right = inout(reg) right => _,
            sums = in(reg) sums.0.as_mut_ptr(), line = in(reg) 64usize,
            at = out(reg) _, from = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            options(nostack),
        );
    }
}

/// As [`Engine::sum`](super::Engine::sum).
#[inline(never)]
unsafe fn sum_2x2(
    left: [*const u16; 2],
    row: usize,
    offsets: &[u32],
    right: [*const u32; 2],
    sums: &mut Sums,
) {
    // SAFETY: the caller promises what is read; the results are as many as the sums.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {at:e}, dword ptr [{offset}]",
            "tileloadd tmm6, [{x} + {line}]",
            "lea {from}, [{a} + 2*{at}]",
            "tileloadd tmm4, [{from} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{y} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "lea {from}, [{b} + 2*{at}]",
            "tileloadd tmm5, [{from} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {offset}, 4",
            "add {x}, 1024",
            "add {y}, 1024",
            "cmp {offset}, {end}",
            "jne 2b",
            "lea {at}, [2*{line}]",
            "tilestored [{sums} + {at}], tmm0",
            "tilestored [{sums} + {at} + 64], tmm1",
            "tilestored [{sums} + {at} + 2048], tmm2",
            "tilestored [{sums} + {at} + 2112], tmm3",
            a = in(reg) left[0], b = in(reg) left[1],
            row = in(reg) 2 * row,
            offset = inout(reg) offsets.as_ptr() => _, end = in(reg) offsets.as_ptr_range().end,
            x = inout(reg) right[0] => _, y = inout(reg) right[1] => _,
            sums = in(reg) sums.0.as_mut_ptr(), line = in(reg) 64usize,
            at = out(reg) _, from = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _, out("tmm5") _, out("tmm6") _,
            out("tmm7") _,
            options(nostack),
        );
    }
}
