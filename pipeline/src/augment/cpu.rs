//! Which instructions the processor has, found out once.

use crate::instructions::Instructions;

/// The instruction set that kernels use. A value other than `Plain` proves that the processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cpu {
    /// What every processor of the target has.
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// Proof of AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

/// Proof of AVX-512 with byte permutations and byte products (Ice Lake, Zen 4 and later), and of [`Avx2`].
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Cpu {
    /// The best of `instructions` that this processor has.
    pub(super) fn best(instructions: Instructions) -> Self {
        let mut all = Self::all();
        all.retain(|cpu| instructions.include(cpu.instructions()));
        all.pop().expect("plain instructions are always there")
    }

    fn instructions(self) -> Instructions {
        match self {
            Self::Plain => Instructions::Plain,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Instructions::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Instructions::Avx512,
        }
    }

    /// Everything that this processor has, from plain to best.
    pub(super) fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86-64 has more"))]
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::new().map(Self::Avx2));
            all.extend(Avx512::new().map(Self::Avx512));
        }
        all
    }
}

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// A processor with AVX-512 has AVX2 too.
    pub(super) fn avx2(self) -> Avx2 {
        Avx2(())
    }

    fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vnni");
        (has && Avx2::new().is_some()).then_some(Self(()))
    }
}

/// Compiles a plain kernel once for each instruction set and calls the one that a [`Cpu`], passed first, stands for.
///
/// The compiler vectorises the copies; they compute the same, because Rust never fuses or reorders float operations.
macro_rules! for_each_cpu {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $vis fn $name(cpu: $crate::augment::cpu::Cpu, $($arg: $type),*) {
            #[inline(always)]
            fn plain($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) {
                plain($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vnni")]
            fn avx512($($arg: $type),*) {
                plain($($arg),*);
            }

            match cpu {
                $crate::augment::cpu::Cpu::Plain => plain($($arg),*),
                #[cfg(target_arch = "x86_64")]
                $crate::augment::cpu::Cpu::Avx2(_) => {
                    // SAFETY: the value proves that the processor has AVX2 and FMA.
                    unsafe { avx2($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                $crate::augment::cpu::Cpu::Avx512(_) => {
                    // SAFETY: the value proves that the processor has these parts of AVX-512.
                    unsafe { avx512($($arg),*) }
                }
            }
        }
    };
}

pub(super) use for_each_cpu;
