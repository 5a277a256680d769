//! The vector kernels against plain arithmetic, and that against the definition of the transform.

use super::*;
use crate::rng::ViewRng;

const SIZE: usize = 8;

const ONES: Steps = Steps([1; 64]);

/// A block with some coefficients up to `largest`, as many as `density` in 64.
fn block(seed: u64, largest: i32, density: u32) -> Block {
    let mut rng = ViewRng::new(7, 1, seed, 0);
    let mut draw = || {
        let value = rng.below(2 * largest as u32 + 1) as i32 - largest;
        if rng.below(64) < density { value as i16 } else { 0 }
    };
    let mut block = [0; 64];
    block.fill_with(&mut draw);
    block
}

#[test]
fn each_coefficient_has_its_place() {
    let mut seen = [false; 64];
    for row in 0..8 {
        for column in 0..8 {
            seen[slot(row, column)] = true;
        }
    }
    assert_eq!(seen, [true; 64]);
    assert_eq!(slot(0, 0), 0);
}

#[test]
fn the_transform_is_the_inverse_dct() {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};
    for seed in 0..50 {
        let block = block(seed, 120, 20);
        let mut found = [0; 64];
        scalar::full(&block, &ONES, &mut found, SIZE);
        for (i, &found) in found.iter().enumerate() {
            let (y, x) = (i / 8, i % 8);
            let mut sum = 0.0;
            for v in 0..8 {
                for u in 0..8 {
                    let scale = |f: usize| if f == 0 { FRAC_1_SQRT_2 } else { 1.0 };
                    let cosine = |f: usize, at: usize| (PI * f as f64 * (2 * at + 1) as f64 / 16.0).cos();
                    let coefficient = f64::from(block[slot(v, u)]);
                    sum += scale(u) * scale(v) * coefficient * cosine(u, x) * cosine(v, y) / 4.0;
                }
            }
            let expected = (sum + 128.0).clamp(0.0, 255.0);
            assert!((f64::from(found) - expected).abs() < 1.0, "{found} for {expected}");
        }
    }
}

#[test]
fn dc_alone_is_flat_at_every_size() {
    for dc in (i16::MIN..=i16::MAX).step_by(17) {
        let mut block = [0; 64];
        block[slot(0, 0)] = dc;
        let (mut expected, mut found) = ([0; 64], [0; 64]);
        for (size, transform) in [
            (8, scalar::full as fn(&Block, &Steps, &mut [u8], usize)),
            (4, scalar::half),
            (2, scalar::quarter),
        ] {
            flat(dc, size, &mut expected, size);
            transform(&block, &ONES, &mut found, size);
            assert_eq!(found[..size * size], expected[..size * size], "DC {dc}, size {size}");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2_gives_the_same_bytes() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    for seed in 0..20_000 {
        let largest = [8, 100, 1000, 32_767][seed as usize % 4];
        let steps = Steps(block(!seed, 300, 64));
        let block = block(seed, largest, 1 + seed as u32 % 64);
        let (mut expected, mut found) = ([0; 80], [0; 80]);
        scalar::full(&block, &steps, &mut expected, 10);
        // SAFETY: AVX2 was detected.
        unsafe { avx2::full(&block, &steps, &mut found, 10) };
        assert_eq!(found, expected, "{block:?}");
        scalar::half(&block, &steps, &mut expected, 10);
        // SAFETY: as above.
        unsafe { avx2::half(&block, &steps, &mut found, 10) };
        assert_eq!(found, expected, "{block:?}");
        scalar::quarter(&block, &steps, &mut expected, 10);
        // SAFETY: as above.
        unsafe { avx2::quarter(&block, &steps, &mut found, 10) };
        assert_eq!(found, expected, "{block:?}");
    }
}
