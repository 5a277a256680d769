//! Every operation against a plain f64 oracle, and each oracle's gradient against finite differences.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod oracle;

mod batch_norm;
mod conv2d;
mod format;
mod linear;
mod loss;
mod pool;

use dfdx::prelude::*;

/// Values of a fixed sequence in `[-1, 1)`, a different one for each `seed`.
fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    })
    .take(n)
    .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// The scalar `sum of y * direction`, whose gradient at `y` is `direction`.
fn along<S: Shape>(
    y: Tensor<S, f32, Cpu, OwnedTape<f32, Cpu>>,
    direction: &[f32],
) -> Tensor<Rank0, f32, Cpu, OwnedTape<f32, Cpu>> {
    let direction = y.device().tensor_from_vec(direction.to_vec(), *y.shape());
    (y * direction).sum()
}

/// Compares to 1e-5 of the expected values' root mean square (and of 1e-3, where all are about 0).
fn assert_close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let rms = (expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64).sqrt().max(1e-3);
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(error <= 1e-5 * rms.max(expected.abs()), "{what}[{i}] is {found}, the oracle's {expected}");
    }
}

/// Compares `gradient` with central differences of `f` at every element of `at`.
fn assert_is_gradient(what: &str, gradient: &[f64], at: &[f64], f: impl Fn(&[f64]) -> f64) {
    const STEP: f64 = 1e-5;
    let mut x = at.to_vec();
    for i in 0..x.len() {
        let mut value = |step: f64| {
            x[i] = at[i] + step;
            f(&x)
        };
        let slope = (value(STEP) - value(-STEP)) / (2.0 * STEP);
        x[i] = at[i];
        let error = (slope - gradient[i]).abs();
        assert!(
            error <= 1e-6 * gradient[i].abs().max(1.0),
            "{what}[{i}] is {}, its slope {slope}",
            gradient[i]
        );
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
