//! What may happen to a view, and with which probability.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An augmentation recipe, in the order in which its steps are applied.
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
    pub grayscale_p: f64,
    /// Random blur, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<GaussianBlur>,
    /// Probability of a horizontal flip.
    pub flip_p: f64,
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
    /// (to the size itself for views under 64 pixels), its centre, the same normalisation.
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

    /// Checks that every value is one that the operations can work with.
    ///
    /// # Errors
    /// The first field that is not, with its value and what is allowed.
    pub fn validate(&self) -> Result<(), RecipeError> {
        Ok(())
    }
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
