//! What may happen to a view, and with which probability.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(doc)]
use super::Dtype;
use super::normalise;

/// An augmentation recipe, in the order in which its steps are applied. Any serde format holds one; steps left out are not done.
///
/// ```
/// use simsiam_pipeline::Recipe;
///
/// let recipe: Recipe = toml::from_str(
///     "size = 96
///      grayscale_p = 0.2
///      flip_p = 0.5
///      mean = [0.485, 0.456, 0.406]
///      std = [0.229, 0.224, 0.225]
///      crop.random_resized = { scale = [0.2, 1.0], ratio = [0.75, 1.25] }",
/// )?;
/// recipe.validate()?;
/// assert_eq!(recipe.blur, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Side of the square view, in pixels.
    pub size: usize,
    /// Which part of the image becomes the view.
    pub crop: Crop,
    /// Random brightness, contrast, saturation and hue, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitter>,
    /// Probability of a gray view.
    #[serde(default)]
    pub grayscale_p: f64,
    /// Random blur, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<GaussianBlur>,
    /// Probability of a horizontal flip.
    #[serde(default)]
    pub flip_p: f64,
    /// How far an image may be reduced while it is decoded: each crop keeps at least so many times the view's size, in
    /// both directions (Pillow's `reducing_gap`, at least 1; its thumbnails and the presets use 2). Only crops that are
    /// shrunk to a quarter or less are touched by 2. None always decodes at full size, with torchvision's exact pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reducing_gap: Option<f64>,
    /// Mean that normalisation subtracts, per channel, of values in 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation that normalisation divides by, per channel.
    pub std: [f32; 3],
}

/// Which part of the image becomes the view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Crop {
    /// torchvision's `RandomResizedCrop`: a random box, resized to the view.
    RandomResized {
        /// Share of the image's area that the box covers, smallest and largest.
        scale: (f64, f64),
        /// Width over height of the box, smallest and largest; drawn log-uniformly.
        ratio: (f64, f64),
    },
    /// torchvision's `Resize` and `CenterCrop`, for evaluation.
    ResizeCenter {
        /// Length in pixels to which the shorter side is resized; at least the view's size.
        resize: usize,
    },
}

/// torchvision's `ColorJitter`, applied with a probability.
///
/// A strength `b` draws a factor from U[max(0, 1 - b), 1 + b]; hue draws a turn from U[-hue, hue].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Probability that a view is jittered.
    pub p: f64,
    /// Strength of the brightness change.
    pub brightness: f64,
    /// Strength of the contrast change.
    pub contrast: f64,
    /// Strength of the saturation change.
    pub saturation: f64,
    /// Strength of the hue change, in turns of the colour circle; at most 0.5.
    pub hue: f64,
}

/// Pillow's `GaussianBlur` with a random radius, applied with a probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// Probability that a view is blurred.
    pub p: f64,
    /// Smallest and largest standard deviation, in pixels of the view.
    pub sigma: (f64, f64),
}

impl Recipe {
    /// SimSiam's ImageNet recipe (Chen & He 2021, appendix A; `facebookresearch/simsiam`, `main_simsiam.py`).
    pub fn imagenet() -> Self {
        Self {
            size: 224,
            crop: Crop::RandomResized { scale: (0.2, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) },
            color_jitter: Some(ColorJitter {
                p: 0.8,
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.4,
                hue: 0.1,
            }),
            grayscale_p: 0.2,
            blur: Some(GaussianBlur { p: 0.5, sigma: (0.1, 2.0) }),
            flip_p: 0.5,
            reducing_gap: Some(2.0),
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }

    /// SimSiam's CIFAR-10 recipe (Chen & He 2021, appendix D): no blur, 32-pixel views.
    pub fn cifar10() -> Self {
        Self {
            size: 32,
            blur: None,
            mean: [0.4914, 0.4822, 0.4465],
            std: [0.2023, 0.1994, 0.2010],
            ..Self::imagenet()
        }
    }

    /// The view without randomness that goes with this recipe: the shorter side resized to 256/224 of the view's size
    /// (to the size itself for views under 64 pixels), its centre, the same normalisation and the same `reducing_gap`.
    pub fn evaluation(&self) -> Self {
        let resize = if self.size >= 64 { (self.size * 256 + 112) / 224 } else { self.size };
        Self {
            crop: Crop::ResizeCenter { resize },
            color_jitter: None,
            grayscale_p: 0.0,
            blur: None,
            flip_p: 0.0,
            ..self.clone()
        }
    }

    /// Supervised training's light augmentation of the same views, for the linear probe (`facebookresearch/simsiam`,
    /// `main_lincls.py`): torchvision's `RandomResizedCrop` with its defaults and a flip, the same normalisation.
    pub fn crop_and_flip(&self) -> Self {
        Self {
            crop: Crop::RandomResized { scale: (0.08, 1.0), ratio: (3.0 / 4.0, 4.0 / 3.0) },
            flip_p: 0.5,
            ..self.evaluation()
        }
    }

    /// The normalised value of each byte of each channel: what the bytes of a view of [`Dtype::U8`] stand for.
    pub fn levels(&self) -> [[f32; 256]; 3] {
        normalise::levels(self.mean, self.std)
    }

    /// Checks that every value is one that the operations can work with.
    ///
    /// # Errors
    /// The first field that is not, with its value and what is allowed.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let Self { size, crop, color_jitter, grayscale_p, blur, flip_p, reducing_gap, mean, std } = self;
        check("size", size, (1..=4096).contains(size), "1 to 4096")?;
        match crop {
            Crop::RandomResized { scale, ratio } => {
                check_range("crop.scale", *scale, f64::MIN_POSITIVE, 1.0, "0 < min <= max <= 1")?;
                check_range("crop.ratio", *ratio, 1e-3, 1e3, "0.001 <= min <= max <= 1000")?;
            }
            Crop::ResizeCenter { resize } => {
                let allowed = (*size..=16_384).contains(resize);
                check("crop.resize", resize, allowed, "at least the size, at most 16384")?;
            }
        }
        if let Some(ColorJitter { p, brightness, contrast, saturation, hue }) = color_jitter {
            check_probability("color_jitter.p", *p)?;
            check_strength("color_jitter.brightness", *brightness)?;
            check_strength("color_jitter.contrast", *contrast)?;
            check_strength("color_jitter.saturation", *saturation)?;
            check("color_jitter.hue", hue, (0.0..=0.5).contains(hue), "0 to 0.5")?;
        }
        check_probability("grayscale_p", *grayscale_p)?;
        if let Some(GaussianBlur { p, sigma }) = blur {
            check_probability("blur.p", *p)?;
            check_range("blur.sigma", *sigma, 0.0, 100.0, "0 <= min <= max <= 100")?;
        }
        check_probability("flip_p", *flip_p)?;
        if let Some(gap) = reducing_gap {
            check("reducing_gap", gap, (1.0..=1e3).contains(gap), "1 to 1000")?;
        }
        check("mean", &format_args!("{mean:?}"), mean.iter().all(|m| m.is_finite()), "finite numbers")?;
        let divides = |s: &f32| s.is_finite() && *s > 0.0;
        check("std", &format_args!("{std:?}"), std.iter().all(divides), "numbers above 0")
    }
}

fn check_probability(field: &'static str, p: f64) -> Result<(), RecipeError> {
    check(field, &p, (0.0..=1.0).contains(&p), "a probability, 0 to 1")
}

fn check_strength(field: &'static str, strength: f64) -> Result<(), RecipeError> {
    check(field, &strength, (0.0..=10.0).contains(&strength), "0 to 10")
}

fn check_range(
    field: &'static str,
    (min, max): (f64, f64),
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<(), RecipeError> {
    check(field, &format_args!("{min} to {max}"), low <= min && min <= max && max <= high, expected)
}

fn check(
    field: &'static str,
    found: &dyn fmt::Display,
    holds: bool,
    expected: &'static str,
) -> Result<(), RecipeError> {
    if holds { Ok(()) } else { Err(RecipeError { field, found: found.to_string(), expected }) }
}

/// A field of a [`Recipe`] with a value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("augmentation {field}: {found}, expected {expected}")]
pub struct RecipeError {
    /// Path of the field inside the recipe, such as `color_jitter.hue`.
    pub field: &'static str,
    /// The value that was found.
    pub found: String,
    /// What is allowed.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        for recipe in [Recipe::imagenet(), Recipe::cifar10()] {
            assert_eq!(recipe.validate(), Ok(()));
            assert_eq!(recipe.evaluation().validate(), Ok(()));
            assert_eq!(recipe.crop_and_flip().validate(), Ok(()));
        }
    }

    #[test]
    fn evaluation_resizes_to_torchvisions_sizes() {
        assert_eq!(Recipe::imagenet().evaluation().crop, Crop::ResizeCenter { resize: 256 });
        assert_eq!(Recipe::cifar10().evaluation().crop, Crop::ResizeCenter { resize: 32 });
    }

    #[test]
    fn senseless_values_are_named() {
        let good = Recipe::imagenet();
        let jitter = good.color_jitter.unwrap();
        let crop = |scale, ratio| Recipe { crop: Crop::RandomResized { scale, ratio }, ..good.clone() };
        for (bad, message) in [
            (Recipe { size: 0, ..good.clone() }, "augmentation size: 0, expected 1 to 4096"),
            (
                Recipe { flip_p: 1.5, ..good.clone() },
                "augmentation flip_p: 1.5, expected a probability, 0 to 1",
            ),
            (
                Recipe { grayscale_p: f64::NAN, ..good.clone() },
                "augmentation grayscale_p: NaN, expected a probability, 0 to 1",
            ),
            (
                crop((0.5, 0.2), (0.75, 1.33)),
                "augmentation crop.scale: 0.5 to 0.2, expected 0 < min <= max <= 1",
            ),
            (crop((0.0, 1.0), (0.75, 1.33)), "augmentation crop.scale: 0 to 1, expected 0 < min <= max <= 1"),
            (
                crop((0.2, 1.0), (0.0, 1.0)),
                "augmentation crop.ratio: 0 to 1, expected 0.001 <= min <= max <= 1000",
            ),
            (
                Recipe { crop: Crop::ResizeCenter { resize: 100 }, ..good.clone() },
                "augmentation crop.resize: 100, expected at least the size, at most 16384",
            ),
            (
                Recipe { color_jitter: Some(ColorJitter { hue: 0.6, ..jitter }), ..good.clone() },
                "augmentation color_jitter.hue: 0.6, expected 0 to 0.5",
            ),
            (
                Recipe { color_jitter: Some(ColorJitter { contrast: -0.1, ..jitter }), ..good.clone() },
                "augmentation color_jitter.contrast: -0.1, expected 0 to 10",
            ),
            (
                Recipe { blur: Some(GaussianBlur { p: 0.5, sigma: (2.0, 0.1) }), ..good.clone() },
                "augmentation blur.sigma: 2 to 0.1, expected 0 <= min <= max <= 100",
            ),
            (
                Recipe { reducing_gap: Some(0.5), ..good.clone() },
                "augmentation reducing_gap: 0.5, expected 1 to 1000",
            ),
            (
                Recipe { std: [1.0, 0.0, 1.0], ..good.clone() },
                "augmentation std: [1.0, 0.0, 1.0], expected numbers above 0",
            ),
        ] {
            assert_eq!(bad.validate().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn steps_left_out_are_not_done() {
        let text =
            r#"{"size": 32, "crop": {"resize_center": {"resize": 32}}, "mean": [0, 0, 0], "std": [1, 1, 1]}"#;
        let recipe: Recipe = serde_json::from_str(text).unwrap();
        let Recipe { color_jitter, grayscale_p, blur, flip_p, reducing_gap, .. } = recipe;
        assert_eq!((color_jitter, grayscale_p, blur, flip_p, reducing_gap), (None, 0.0, None, 0.0, None));
    }

    #[test]
    fn recipes_survive_serialisation_and_refuse_unknown_fields() {
        for recipe in [Recipe::imagenet(), Recipe::cifar10().evaluation()] {
            let mut json = serde_json::to_value(&recipe).unwrap();
            assert_eq!(serde_json::from_value::<Recipe>(json.clone()).unwrap(), recipe);
            json["blurr"] = 1.into();
            let error = serde_json::from_value::<Recipe>(json).unwrap_err();
            assert!(error.to_string().contains("unknown field `blurr`"), "{error}");
        }
    }
}
