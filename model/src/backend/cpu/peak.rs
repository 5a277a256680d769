//! What the cores can do at most: fused multiply-adds of single precision on registers alone.

use std::hint::black_box;
use std::time::Instant;

use super::Instructions;

/// Independent sums, more than are under way at once: a result takes four cycles, and there are at most two a cycle.
const SUMS: usize = 12;

/// Billions of additions and multiplications a second that the threads of rayon's current pool do together, with the widest
/// instructions that are [allowed](Instructions::limit). The best of several tries, some 0.2 s in all.
pub fn peak_gflop_per_s() -> f64 {
    const TRIES: u32 = 10;
    let kernel = Kernel::best();
    let rate = |_| {
        let started = Instant::now();
        let flops: f64 = rayon::broadcast(|_| kernel.run()).iter().sum();
        flops / started.elapsed().as_secs_f64() / 1e9
    };
    (0..TRIES).map(rate).fold(0.0, f64::max)
}

#[derive(Clone, Copy)]
enum Kernel {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    const ROUNDS: usize = 2_000_000;

    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if Instructions::Avx512.are_usable() {
            return Self::Avx512;
        } else if Instructions::Avx2.are_usable() {
            return Self::Avx2;
        }
        Self::Scalar
    }

    /// Gives the number of additions and multiplications.
    fn run(self) -> f64 {
        let lanes = match self {
            Self::Scalar => scalar(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions.
            Self::Avx2 => unsafe { avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx512 => unsafe { avx512() },
        };
        (2 * SUMS * lanes * Self::ROUNDS) as f64
    }
}

/// Without fused instructions, an addition and a multiplication apart. Gives the number of lanes.
fn scalar() -> usize {
    let (mut sums, x) = (black_box([1f32; SUMS]), black_box(0.5));
    for _ in 0..Kernel::ROUNDS {
        sums.iter_mut().for_each(|sum| *sum = *sum * x + x);
    }
    black_box(sums);
    1
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2() -> usize {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};

    let (mut sums, x) = (black_box([_mm256_set1_ps(1.0); SUMS]), black_box(_mm256_set1_ps(0.5)));
    for _ in 0..Kernel::ROUNDS {
        sums.iter_mut().for_each(|sum| *sum = _mm256_fmadd_ps(*sum, x, x));
    }
    black_box(sums);
    8
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512() -> usize {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};

    let (mut sums, x) = (black_box([_mm512_set1_ps(1.0); SUMS]), black_box(_mm512_set1_ps(0.5)));
    for _ in 0..Kernel::ROUNDS {
        sums.iter_mut().for_each(|sum| *sum = _mm512_fmadd_ps(*sum, x, x));
    }
    black_box(sums);
    16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_does_something() {
        let peak = peak_gflop_per_s();
        assert!(peak.is_finite() && peak > 0.1, "{peak} GFLOP/s");
    }
}
