//! The vector kernel against plain arithmetic: every chroma, and every length.

#![cfg(target_arch = "x86_64")]

use super::*;

fn same(y: &[u8], cb: &[u8], cr: &[u8]) {
    let (mut expected, mut found) = (vec![0; 3 * y.len()], vec![0; 3 * y.len()]);
    scalar::ycc_to_rgb(y, cb, cr, &mut expected);
    // SAFETY: the caller detected AVX2.
    unsafe { avx2::ycc_to_rgb(y, cb, cr, &mut found) };
    assert_eq!(found, expected);
}

#[test]
fn avx2_gives_the_same_bytes_for_all_colors() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let all: Vec<u8> = (0..=255).collect();
    for y in all.chunks(1) {
        for cb in &all {
            same(&[y[0]; 256], &[*cb; 256], &all);
        }
    }
}

#[test]
fn avx2_gives_the_same_bytes_at_all_lengths() {
    if !is_x86_feature_detected!("avx2") {
        return;
    }
    let ramp: Vec<u8> = (0..300).map(|i| (i * 7 % 256) as u8).collect();
    for length in 0..150 {
        same(&ramp[..length], &ramp[50..][..length], &ramp[100..][..length]);
    }
}
