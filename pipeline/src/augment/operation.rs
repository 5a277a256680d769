//! What is done to a view's pixels, one operation after the other.

use std::fmt;

#[cfg(doc)]
use super::Step;
use super::StepPlace;
use super::affine::Matrix;
use crate::image::Region;

/// One operation on a whole view, with everything that was random about it: [`Step`]s draw them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Pillow's `ImageEnhance.Brightness`: 0 is black, 1 changes nothing.
    Brightness(f64),
    /// Pillow's `ImageEnhance.Contrast`: 0 is the mean gray, 1 changes nothing.
    Contrast(f64),
    /// Pillow's `ImageEnhance.Color`: 0 is gray, 1 changes nothing.
    Saturation(f64),
    /// torchvision's `adjust_hue` on a PIL image: a turn in -0.5 to 0.5 of the colour circle. Exactly 0 leaves the pixels alone, as
    /// torchvision does for a strength of 0; any other turn goes through 8-bit HSV.
    Hue(f64),
    /// Pillow's `convert("L")`, in all three channels.
    Gray,
    /// Pillow's `GaussianBlur` with this standard deviation in pixels.
    Blur(f64),
    /// Pillow's `ImageEnhance.Sharpness`: 0 is smoothed, 1 changes nothing.
    Sharpness(f64),
    /// Pillow's `ImageOps.solarize`: values from the threshold on are inverted.
    Solarize(f64),
    /// Pillow's `ImageOps.posterize`: so many of a value's highest bits are kept, 1 to 8.
    Posterize(u8),
    /// Pillow's `ImageOps.invert`.
    Invert,
    /// Pillow's `ImageOps.autocontrast`: each channel stretched to 0 to 255.
    Autocontrast,
    /// Pillow's `ImageOps.equalize`: each channel's histogram made flat.
    Equalize,
    /// Left and right exchanged.
    HorizontalFlip,
    /// Above and below exchanged.
    VerticalFlip,
    /// Pillow's `transform(size, AFFINE, matrix, NEAREST)`; what comes from outside is black.
    Affine(Matrix),
    /// A box filled with one colour, the one that becomes zero.
    Erase(Region),
    /// Normally distributed noise of this standard deviation, of values in 0 to 1, from a generator of this seed.
    Noise {
        /// Standard deviation.
        sigma: f64,
        /// Key of the noise's own stream.
        seed: u64,
    },
    /// What a step of your own does, with a generator of this seed.
    Custom {
        /// Which step.
        place: StepPlace,
        /// Key of its stream.
        seed: u64,
    },
}

impl Operation {
    /// Whether a mirrored view comes out as the mirror image, bit for bit, so that a flip after it can be done before.
    pub(super) fn is_symmetric(&self) -> bool {
        match self {
            Self::Brightness(_)
            | Self::Contrast(_)
            | Self::Saturation(_)
            | Self::Hue(_)
            | Self::Gray
            | Self::Blur(_)
            | Self::Sharpness(_)
            | Self::Solarize(_)
            | Self::Posterize(_)
            | Self::Invert
            | Self::Autocontrast
            | Self::Equalize
            | Self::VerticalFlip => true,
            Self::HorizontalFlip
            | Self::Affine(_)
            | Self::Erase(_)
            | Self::Noise { .. }
            | Self::Custom { .. } => false,
        }
    }
}

/// A few words, such as `brightness 1.24`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brightness(factor) => write!(f, "brightness {factor:.2}"),
            Self::Contrast(factor) => write!(f, "contrast {factor:.2}"),
            Self::Saturation(factor) => write!(f, "saturation {factor:.2}"),
            Self::Hue(turn) => write!(f, "hue {turn:+.3}"),
            Self::Gray => f.write_str("gray"),
            Self::Blur(sigma) => write!(f, "blur {sigma:.2}"),
            Self::Sharpness(factor) => write!(f, "sharpness {factor:.2}"),
            Self::Solarize(threshold) => write!(f, "solarize {threshold:.0}"),
            Self::Posterize(bits) => write!(f, "posterize {bits} bits"),
            Self::Invert => f.write_str("invert"),
            Self::Autocontrast => f.write_str("autocontrast"),
            Self::Equalize => f.write_str("equalize"),
            Self::HorizontalFlip => f.write_str("horizontal flip"),
            Self::VerticalFlip => f.write_str("vertical flip"),
            Self::Affine(Matrix([a, b, c, d, e, g])) => {
                write!(f, "affine {a:.2} {b:.2} {c:.1} / {d:.2} {e:.2} {g:.1}")
            }
            Self::Erase(Region { top, left, height, width }) => {
                write!(f, "erase {width} x {height} at {left}, {top}")
            }
            Self::Noise { sigma, .. } => write!(f, "noise {sigma:.3}"),
            Self::Custom { place, .. } => write!(f, "custom {place}"),
        }
    }
}
