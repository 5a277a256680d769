//! Normally distributed noise.

use std::f64::consts::TAU;

use super::planes::Planes;
use crate::rng::ViewRng;

/// torchvision's `v2.GaussianNoise` on bytes: each value gets its own N(0, sigma^2), of values in 0 to 1, is clipped and rounded.
pub(super) fn add(view: &mut Planes, sigma: f64, seed: u64) {
    let mut rng = ViewRng::new(seed, 0, 0, 0);
    for pair in view.bytes_mut().chunks_mut(2) {
        for (value, noise) in pair.iter_mut().zip(normal_pair(&mut rng)) {
            *value = libm::rint((f64::from(*value) + 255.0 * sigma * noise).clamp(0.0, 255.0)) as u8;
        }
    }
}

/// Two independent draws of N(0, 1) (Box and Muller).
fn normal_pair(rng: &mut ViewRng) -> [f64; 2] {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - rng.uniform(0.0, 1.0)));
    let (sin, cos) = libm::sincos(rng.uniform(0.0, TAU));
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_deviation_and_no_mean() {
        let mut view = Planes::of_interleaved(&[128; 3 * 10_000]);
        add(&mut view, 0.1, 7);
        let noise: Vec<f64> = view.bytes().iter().map(|value| f64::from(*value) - 128.0).collect();
        let mean = noise.iter().sum::<f64>() / noise.len() as f64;
        let deviation = (noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64).sqrt();
        assert!(mean.abs() < 0.5, "{mean}");
        assert!((deviation - 25.5).abs() < 0.4, "{deviation}");
    }

    #[test]
    fn a_seed_gives_the_same_noise() {
        let noisy = |seed| {
            let mut view = Planes::of_interleaved(&[100; 3 * 64]);
            add(&mut view, 0.2, seed);
            view.bytes().to_vec()
        };
        assert_eq!(noisy(1), noisy(1));
        assert_ne!(noisy(1), noisy(2));
    }
}
