//! What happens to one view: the recipe's random choices, drawn from the image's size before it is decoded.

use super::Recipe;
use crate::rng::ViewRng;

/// Everything that is random about one view. With the image it determines every byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewParams {
    /// Which pixels the view shows.
    pub window: Window,
    /// Colour changes, if any.
    pub jitter: Option<JitterParams>,
    /// Whether the view is gray.
    pub grayscale: bool,
    /// Standard deviation of the blur in pixels, if any.
    pub blur_sigma: Option<f64>,
    /// Whether the view is mirrored.
    pub flip: bool,
}

/// Crop, resize, crop: `source` is cut out of the image, resized to `scaled_width` x `scaled_height`, and the view is
/// the square whose corner is (`top`, `left`) there.
///
/// A random resized crop has `scaled_* = size` and a corner of 0; resize and centre crop has the whole image as source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The part of the image that is resized. The filter sees no pixel outside it.
    pub source: CropBox,
    /// Width after resizing, in pixels.
    pub scaled_width: usize,
    /// Height after resizing, in pixels.
    pub scaled_height: usize,
    /// First row of the view within the resized box.
    pub top: usize,
    /// First column of the view within the resized box.
    pub left: usize,
}

/// A box of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

/// Factors of a colour jitter, and the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JitterParams {
    /// The four operations, first to last.
    pub order: [JitterOp; 4],
    /// Factor of brightness: 0 is black, 1 changes nothing.
    pub brightness: f64,
    /// Factor of contrast: 0 is the mean gray, 1 changes nothing.
    pub contrast: f64,
    /// Factor of saturation: 0 is gray, 1 changes nothing.
    pub saturation: f64,
    /// Turn of the hue in -0.5 to 0.5 of the colour circle: 0 changes nothing.
    pub hue: f64,
}

/// One operation of a colour jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterOp {
    /// Pillow's `ImageEnhance.Brightness`.
    Brightness,
    /// Pillow's `ImageEnhance.Contrast`.
    Contrast,
    /// Pillow's `ImageEnhance.Color`.
    Saturation,
    /// torchvision's `adjust_hue` on a PIL image.
    Hue,
}

impl Recipe {
    /// Draws the parameters of a view of an image of `width` x `height` pixels.
    pub fn draw(&self, rng: &mut ViewRng, width: usize, height: usize) -> ViewParams {
        let _ = rng.chance(self.flip_p);
        let source = CropBox { top: 0, left: 0, height, width };
        let window = Window { source, scaled_width: self.size, scaled_height: self.size, top: 0, left: 0 };
        ViewParams { window, jitter: None, grayscale: false, blur_sigma: None, flip: false }
    }
}
