//! RandAugment and TrivialAugment, with torchvision's operations and magnitudes.

use super::Operation;
use super::affine::{Matrix, Motion};
use crate::rng::ViewRng;

/// Magnitudes of an operation, weakest to strongest.
pub(super) const MAGNITUDES: usize = 31;

/// One operation of `RandAugment` (Cubuk et al. 2020), all of one magnitude; none for the identity.
pub(super) fn rand_augment(rng: &mut ViewRng, size: usize, magnitude: usize) -> Option<Operation> {
    let strongest = Strongest {
        shear: 0.3,
        translate: 150.0 / 331.0 * size as f64,
        rotate: 30.0,
        factor: 0.9,
        posterized_bits: 4.0,
    };
    strongest.draw(rng, size, |_| magnitude)
}

/// The one operation of `TrivialAugmentWide` (Müller & Hutter 2021), of any magnitude; none for the identity.
pub(super) fn trivial_augment(rng: &mut ViewRng, size: usize) -> Option<Operation> {
    let strongest =
        Strongest { shear: 0.99, translate: 32.0, rotate: 135.0, factor: 0.99, posterized_bits: 6.0 };
    strongest.draw(rng, size, |rng| rng.below(MAGNITUDES as u32) as usize)
}

/// What the last magnitude does.
struct Strongest {
    /// Tangent of the shear's angle.
    shear: f64,
    /// Pixels.
    translate: f64,
    /// Degrees.
    rotate: f64,
    /// Distance of a factor from 1.
    factor: f64,
    /// Bits that are lost.
    posterized_bits: f64,
}

impl Strongest {
    fn draw(
        &self,
        rng: &mut ViewRng,
        size: usize,
        magnitude: impl FnOnce(&mut ViewRng) -> usize,
    ) -> Option<Operation> {
        let operation = rng.below(14);
        let share = magnitude(rng) as f64 / (MAGNITUDES - 1) as f64;
        // torchvision's magnitudes are single precision.
        let unsigned = |strongest: f64| f64::from((strongest * share) as f32);
        let mut signed =
            |strongest: f64| if rng.below(2) == 0 { -unsigned(strongest) } else { unsigned(strongest) };
        let corner = |motion: Motion| Operation::Affine(motion.matrix([0.0; 2]));
        let about_center = |motion: Motion| Operation::Affine(motion.matrix([size as f64 / 2.0; 2]));
        let degrees = |tangent: f64| libm::atan(tangent).to_degrees();
        Some(match operation {
            0 => return None,
            1 => corner(Motion { shear: [degrees(signed(self.shear)), 0.0], ..Motion::STILL }),
            2 => corner(Motion { shear: [0.0, degrees(signed(self.shear))], ..Motion::STILL }),
            3 => about_center(Motion { translate: [signed(self.translate).trunc(), 0.0], ..Motion::STILL }),
            4 => about_center(Motion { translate: [0.0, signed(self.translate).trunc()], ..Motion::STILL }),
            5 => Operation::Affine(Matrix::rotation(signed(self.rotate), size)),
            6 => Operation::Brightness(1.0 + signed(self.factor)),
            7 => Operation::Saturation(1.0 + signed(self.factor)),
            8 => Operation::Contrast(1.0 + signed(self.factor)),
            9 => Operation::Sharpness(1.0 + signed(self.factor)),
            10 => Operation::Posterize(8 - libm::rint(self.posterized_bits * share) as u8),
            11 => Operation::Solarize(255.0 - unsigned(255.0)),
            12 => Operation::Autocontrast,
            _ => Operation::Equalize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl Fn(&mut ViewRng) -> Option<Operation>) -> Vec<Operation> {
        (0..14_000).filter_map(|sample| draw(&mut ViewRng::new(3, 0, sample, 0))).collect()
    }

    #[test]
    fn every_operation_is_as_likely() {
        let operations = drawn(|rng| rand_augment(rng, 224, 9));
        let count = |is: fn(&Operation) -> bool| operations.iter().filter(|op| is(op)).count();
        for found in [
            14_000 - operations.len(),
            count(|op| *op == Operation::Equalize),
            count(|op| *op == Operation::Posterize(7)),
            count(|op| matches!(op, Operation::Brightness(_))),
            count(|op| matches!(op, Operation::Affine(_))) / 5,
        ] {
            assert!(found.abs_diff(1000) < 110, "{found}");
        }
    }

    #[test]
    fn magnitudes_are_torchvisions() {
        // `RandAugment(magnitude=9)._augmentation_space(31, (224, 224))`: factors 0.27, 76.5 off the solarize threshold, 7 bits.
        for operation in drawn(|rng| rand_augment(rng, 224, 9)) {
            match operation {
                Operation::Brightness(factor) | Operation::Contrast(factor) => {
                    assert!(((factor - 1.0).abs() - 0.27).abs() < 1e-6, "{factor}");
                }
                Operation::Solarize(threshold) => assert!((threshold - 178.5).abs() < 1e-4, "{threshold}"),
                Operation::Posterize(bits) => assert_eq!(bits, 7),
                _ => {}
            }
        }
        let bits: Vec<u8> = drawn(|rng| trivial_augment(rng, 224))
            .into_iter()
            .filter_map(
                |operation| if let Operation::Posterize(bits) = operation { Some(bits) } else { None },
            )
            .collect();
        assert_eq!((bits.iter().min(), bits.iter().max()), (Some(&2), Some(&8)));
    }
}
