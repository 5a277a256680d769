//! The steps that a recipe's views list.

use serde::{Deserialize, Serialize};

use super::affine::{Matrix, Motion};
use super::erase;
use super::params::ViewParams;
use super::policy::{MAGNITUDES, rand_augment, trivial_augment};
use super::validate::Check;
use super::{ColorJitter, Crop, GaussianBlur, NamedStep, Operation, RecipeError, StepPlace};
use crate::rng::ViewRng;

/// One step of a view, as it stands in a recipe's list. Probabilities that are left out are 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Step {
    /// The view's crop, which comes first and only there.
    Crop(Crop),
    /// torchvision's `ColorJitter`.
    ColorJitter(ColorJitter),
    /// torchvision's `RandomGrayscale`.
    Grayscale(Chance),
    /// Pillow's `GaussianBlur` with a random radius.
    GaussianBlur(GaussianBlur),
    /// torchvision's `RandomHorizontalFlip`.
    HorizontalFlip(Chance),
    /// torchvision's `RandomVerticalFlip`.
    VerticalFlip(Chance),
    /// torchvision's `RandomSolarize`.
    Solarize {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Values from here on are inverted, 0 to 256.
        threshold: f64,
    },
    /// torchvision's `RandomPosterize`.
    Posterize {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Bits that are kept, 1 to 8.
        bits: u8,
    },
    /// torchvision's `RandomInvert`.
    Invert(Chance),
    /// torchvision's `RandomAutocontrast`.
    Autocontrast(Chance),
    /// torchvision's `RandomEqualize`.
    Equalize(Chance),
    /// Pillow's `ImageEnhance.Sharpness` with a random factor.
    Sharpness {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Smallest and largest factor: 0 is smoothed, 1 changes nothing.
        factor: (f64, f64),
    },
    /// torchvision's `RandomRotation`, nearest pixels, black corners.
    Rotate {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Largest turn to either side, in degrees, at most 180.
        degrees: f64,
    },
    /// torchvision's `RandomAffine`, nearest pixels, black from outside.
    Affine {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Largest turn to either side, in degrees, at most 180.
        #[serde(default)]
        degrees: f64,
        /// Largest shares of the view's side that it moves, along x and along y.
        #[serde(default)]
        translate: (f64, f64),
        /// Smallest and largest factor of the sides.
        #[serde(default = "unscaled")]
        scale: (f64, f64),
        /// Largest shear along x to either side, in degrees, below 90.
        #[serde(default)]
        shear: f64,
    },
    /// torchvision's `RandomCrop(size, padding=pixels)` of what has the view's size already: a move by whole pixels, black from
    /// outside.
    Shift {
        /// Largest move along either axis.
        pixels: usize,
    },
    /// torchvision's `RandomErasing`: a box of the colour that normalisation makes 0.
    Erase {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Share of the view that the box covers, smallest and largest.
        scale: (f64, f64),
        /// Height over width, smallest and largest; drawn log-uniformly.
        ratio: (f64, f64),
    },
    /// torchvision's `v2.GaussianNoise`.
    GaussianNoise {
        /// Probability.
        #[serde(default = "always")]
        p: f64,
        /// Standard deviation, of values in 0 to 1.
        sigma: f64,
    },
    /// torchvision's `RandAugment` (Cubuk et al. 2020).
    RandAugment {
        /// Operations, one after the other.
        operations: usize,
        /// Strength of all of them, 0 to 30.
        magnitude: usize,
    },
    /// torchvision's `TrivialAugmentWide` (Müller & Hutter 2021).
    TrivialAugment {},
    /// A step of your own.
    Custom(NamedStep),
}

/// The probability of a step that has nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// Probability.
    #[serde(default = "always")]
    pub p: f64,
}

pub(super) fn always() -> f64 {
    1.0
}

fn unscaled() -> (f64, f64) {
    (1.0, 1.0)
}

impl Step {
    /// As in a recipe; of a step of your own, the name that you gave it.
    pub fn name(&self) -> &str {
        match self {
            Self::Crop(_) => "crop",
            Self::ColorJitter(_) => "color_jitter",
            Self::Grayscale(_) => "grayscale",
            Self::GaussianBlur(_) => "gaussian_blur",
            Self::HorizontalFlip(_) => "horizontal_flip",
            Self::VerticalFlip(_) => "vertical_flip",
            Self::Solarize { .. } => "solarize",
            Self::Posterize { .. } => "posterize",
            Self::Invert(_) => "invert",
            Self::Autocontrast(_) => "autocontrast",
            Self::Equalize(_) => "equalize",
            Self::Sharpness { .. } => "sharpness",
            Self::Rotate { .. } => "rotate",
            Self::Affine { .. } => "affine",
            Self::Shift { .. } => "shift",
            Self::Erase { .. } => "erase",
            Self::GaussianNoise { .. } => "gaussian_noise",
            Self::RandAugment { .. } => "rand_augment",
            Self::TrivialAugment {} => "trivial_augment",
            Self::Custom(NamedStep { name, .. }) => name,
        }
    }

    /// The probability that the step is applied.
    pub fn probability(&self) -> f64 {
        self.chance().unwrap_or(1.0)
    }

    /// The probability that a recipe gives; steps without one are always applied, and draw nothing for it.
    fn chance(&self) -> Option<f64> {
        Some(match *self {
            Self::ColorJitter(ColorJitter { p, .. })
            | Self::GaussianBlur(GaussianBlur { p, .. })
            | Self::Grayscale(Chance { p })
            | Self::HorizontalFlip(Chance { p })
            | Self::VerticalFlip(Chance { p })
            | Self::Invert(Chance { p })
            | Self::Autocontrast(Chance { p })
            | Self::Equalize(Chance { p })
            | Self::Solarize { p, .. }
            | Self::Posterize { p, .. }
            | Self::Sharpness { p, .. }
            | Self::Rotate { p, .. }
            | Self::Affine { p, .. }
            | Self::Erase { p, .. }
            | Self::GaussianNoise { p, .. }
            | Self::Custom(NamedStep { p, .. }) => p,
            Self::Crop(_) | Self::Shift { .. } | Self::RandAugment { .. } | Self::TrivialAugment {} => {
                return None;
            }
        })
    }

    /// Draws what it does, at its `place` in the recipe, to a view of `size` of an image of `image` (width, height), and adds that to
    /// `params`.
    pub(super) fn draw(
        &self,
        place: StepPlace,
        rng: &mut ViewRng,
        size: usize,
        image: (usize, usize),
        params: &mut ViewParams,
    ) {
        if let Self::Crop(crop) = self {
            params.window = crop.draw(rng, image, size);
            return;
        }
        if self.chance().is_some_and(|p| !rng.chance(p)) {
            return;
        }
        let side = size as f64;
        let about_center = |motion: Motion| Operation::Affine(motion.matrix([side / 2.0; 2]));
        let mut add = |operation| params.operations.push(operation);
        match *self {
            Self::Crop(_) => {}
            Self::ColorJitter(jitter) => jitter.draw(rng).into_iter().for_each(add),
            Self::Grayscale(_) => add(Operation::Gray),
            Self::GaussianBlur(GaussianBlur { sigma, .. }) => {
                add(Operation::Blur(rng.uniform(sigma.0, sigma.1)));
            }
            Self::HorizontalFlip(_) => add(Operation::HorizontalFlip),
            Self::VerticalFlip(_) => add(Operation::VerticalFlip),
            Self::Solarize { threshold, .. } => add(Operation::Solarize(threshold)),
            Self::Posterize { bits, .. } => add(Operation::Posterize(bits)),
            Self::Invert(_) => add(Operation::Invert),
            Self::Autocontrast(_) => add(Operation::Autocontrast),
            Self::Equalize(_) => add(Operation::Equalize),
            Self::Sharpness { factor, .. } => add(Operation::Sharpness(rng.uniform(factor.0, factor.1))),
            Self::Rotate { degrees, .. } => {
                add(Operation::Affine(Matrix::rotation(rng.uniform(-degrees, degrees), size)));
            }
            Self::Affine { degrees, translate, scale, shear, .. } => {
                let angle = rng.uniform(-degrees, degrees);
                let mut whole = |share: f64| libm::rint(rng.uniform(-share * side, share * side));
                let translate = [whole(translate.0), whole(translate.1)];
                let scale = rng.uniform(scale.0, scale.1);
                let shear = [rng.uniform(-shear, shear), 0.0];
                add(about_center(Motion { angle, translate, scale, shear }));
            }
            Self::Shift { pixels } => {
                let mut whole = || f64::from(rng.below(2 * pixels as u32 + 1)) - pixels as f64;
                add(about_center(Motion { translate: [whole(), whole()], ..Motion::STILL }));
            }
            Self::Erase { scale, ratio, .. } => {
                erase::draw(rng, size, scale, ratio).map(Operation::Erase).into_iter().for_each(add);
            }
            Self::GaussianNoise { sigma, .. } => add(Operation::Noise { sigma, seed: rng.word() }),
            Self::RandAugment { operations, magnitude } => {
                (0..operations).filter_map(|_| rand_augment(rng, size, magnitude)).for_each(add);
            }
            Self::TrivialAugment {} => trivial_augment(rng, size).into_iter().for_each(add),
            Self::Custom(_) => add(Operation::Custom { place, seed: rng.word() }),
        }
    }

    /// Checks its values; `check` knows where it stands.
    pub(super) fn validate(&self, check: &Check, size: usize) -> Result<(), RecipeError> {
        let p = self.probability();
        check.value("p", &p, (0.0..=1.0).contains(&p), "a probability, 0 to 1")?;
        match self {
            Self::Crop(crop) => crop.validate(check, size),
            Self::ColorJitter(jitter) => jitter.validate(check),
            Self::GaussianBlur(blur) => blur.validate(check),
            Self::Solarize { threshold, .. } => {
                check.value("threshold", threshold, (0.0..=256.0).contains(threshold), "0 to 256")
            }
            Self::Posterize { bits, .. } => check.value("bits", bits, (1..=8).contains(bits), "1 to 8"),
            Self::Sharpness { factor, .. } => {
                check.range("factor", *factor, 0.0, 100.0, "0 <= min <= max <= 100")
            }
            Self::Rotate { degrees, .. } => {
                check.value("degrees", degrees, (0.0..=180.0).contains(degrees), "0 to 180")
            }
            Self::Affine { degrees, translate, scale, shear, .. } => {
                check.value("degrees", degrees, (0.0..=180.0).contains(degrees), "0 to 180")?;
                for share in [translate.0, translate.1] {
                    check.value(
                        "translate",
                        &share,
                        (0.0..=1.0).contains(&share),
                        "shares of the side, 0 to 1",
                    )?;
                }
                check.range("scale", *scale, 1e-3, 1e3, "0.001 <= min <= max <= 1000")?;
                check.value("shear", shear, (0.0..90.0).contains(shear), "at least 0, below 90")
            }
            Self::Shift { pixels } => {
                check.value("pixels", pixels, *pixels <= size, "at most the view's size")
            }
            Self::Erase { scale, ratio, .. } => {
                check.range("scale", *scale, f64::MIN_POSITIVE, 1.0, "0 < min <= max <= 1")?;
                check.range("ratio", *ratio, 1e-3, 1e3, "0.001 <= min <= max <= 1000")
            }
            Self::GaussianNoise { sigma, .. } => {
                check.value("sigma", sigma, (0.0..=10.0).contains(sigma), "0 to 10")
            }
            Self::RandAugment { operations, magnitude } => {
                check.value("operations", operations, *operations <= 100, "at most 100")?;
                check.value("magnitude", magnitude, *magnitude < MAGNITUDES, "0 to 30")
            }
            Self::Custom(NamedStep { name, .. }) => check.value(
                "name",
                &format_args!("{name:?}"),
                !name.is_empty(),
                "the name of a step of your own",
            ),
            Self::Grayscale(_)
            | Self::HorizontalFlip(_)
            | Self::VerticalFlip(_)
            | Self::Invert(_)
            | Self::Autocontrast(_)
            | Self::Equalize(_)
            | Self::TrivialAugment {} => Ok(()),
        }
    }
}
