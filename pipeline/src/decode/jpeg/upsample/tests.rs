//! The kernels against each other, and against libjpeg's words.

use super::*;
use crate::rng::ViewRng;

fn row(length: usize, seed: u64) -> Vec<u8> {
    let mut rng = ViewRng::new(3, 0, seed, length as u64);
    (0..length).map(|_| rng.below(256) as u8).collect()
}

#[test]
fn rows_are_libjpegs() {
    let (near, far) = ([10, 20, 250], [0, 40, 100]);
    let mut wide = [0; 6];
    scalar::widen(&near, &near, ONE_ROW, &mut wide);
    let expected = [10, (10 * 3 + 20 + 2) >> 2, (20 * 3 + 10 + 1) >> 2, (20 * 3 + 250 + 2) >> 2];
    assert_eq!(wide[..4], expected.map(|value: i32| value as u8));
    assert_eq!(wide[4..], [((250 * 3 + 20 + 1) >> 2) as u8, 250]);
    scalar::widen(&near, &far, BETWEEN_ROWS, &mut wide);
    let sums = [30, 100, 850];
    let expected =
        [(sums[0] * 4 + 8) >> 4, (sums[0] * 3 + sums[1] + 7) >> 4, (sums[1] * 3 + sums[0] + 8) >> 4];
    assert_eq!(wide[..3], expected.map(|value: i32| value as u8));
    assert_eq!(wide[5], ((sums[2] * 4 + 7) >> 4) as u8);
}

#[test]
fn one_sample_repeats() {
    let mut wide = [0; 2];
    scalar::widen(&[77], &[77], ONE_ROW, &mut wide);
    assert_eq!(wide, [77, 77]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2_gives_the_same_bytes() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    for length in 1..100 {
        for seed in 0..20 {
            let (near, far) = (row(length, 2 * seed), row(length, 2 * seed + 1));
            for rounding in [ONE_ROW, BETWEEN_ROWS] {
                let (mut expected, mut found) = (vec![0; 2 * length], vec![0; 2 * length]);
                scalar::widen(&near, &far, rounding, &mut expected);
                // SAFETY: AVX2 was detected.
                unsafe { avx2::widen(&near, &far, rounding, &mut found) };
                assert_eq!(found, expected);
            }
        }
    }
}
