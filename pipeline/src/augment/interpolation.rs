//! How pixels are resampled when a crop is resized.

use serde::{Deserialize, Serialize};

/// A filter of Pillow's `resize` (torchvision's `InterpolationMode`), antialiased: it is stretched when the crop shrinks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Pillow's `BILINEAR`, torchvision's default.
    #[default]
    Bilinear,
    /// Pillow's `BICUBIC`, with a = -0.5.
    Bicubic,
    /// Pillow's `BOX`: the mean of the pixels when the crop shrinks, the nearest one when it grows.
    Box,
}

impl Interpolation {
    /// Half the filter's width where nothing is stretched, in pixels.
    pub(super) fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Box => 0.5,
        }
    }

    /// The filter's weight at a distance of `x` pixels (Resample.c; the cubic one is Keys 1981, equation 4).
    pub(super) fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
            Self::Bicubic if distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5,
            Self::Bicubic => 0.0,
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        }
    }

    /// Whether it is the default, which recipes need not name.
    pub(super) fn is_bilinear(&self) -> bool {
        *self == Self::Bilinear
    }
}
