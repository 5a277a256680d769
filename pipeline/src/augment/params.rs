//! What happens to one view: the recipe's random choices, drawn from the image's size before it is decoded.

use super::{ColorJitter, Crop, Recipe};
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
    /// Turn of the hue in -0.5 to 0.5 of the colour circle. Exactly 0 leaves the pixels alone, as torchvision does for
    /// a strength of 0; any other turn goes through 8-bit HSV.
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
    /// Draws the parameters of a view of an image of `width` x `height` pixels, with torchvision's distributions.
    ///
    /// # Panics
    /// When the image has no pixels.
    pub fn draw(&self, rng: &mut ViewRng, width: usize, height: usize) -> ViewParams {
        assert!(width > 0 && height > 0, "an image has pixels");
        let window = match self.crop {
            Crop::RandomResized { scale, ratio } => {
                let source = random_resized_crop(rng, width, height, scale, ratio);
                Window { source, scaled_width: self.size, scaled_height: self.size, top: 0, left: 0 }
            }
            Crop::ResizeCenter { resize } => resize_center(width, height, resize, self.size),
        };
        let jitter = self.color_jitter.filter(|jitter| rng.chance(jitter.p)).map(|jitter| jitter.draw(rng));
        let grayscale = rng.chance(self.grayscale_p);
        let blur = self.blur.filter(|blur| rng.chance(blur.p));
        let blur_sigma = blur.map(|blur| rng.uniform(blur.sigma.0, blur.sigma.1));
        let flip = rng.chance(self.flip_p);
        ViewParams { window, jitter, grayscale, blur_sigma, flip }
    }
}

impl ColorJitter {
    fn draw(&self, rng: &mut ViewRng) -> JitterParams {
        use JitterOp::{Brightness, Contrast, Hue, Saturation};
        let mut factor = |strength: f64| rng.uniform((1.0 - strength).max(0.0), 1.0 + strength);
        JitterParams {
            brightness: factor(self.brightness),
            contrast: factor(self.contrast),
            saturation: factor(self.saturation),
            hue: rng.uniform(-self.hue, self.hue),
            order: rng.shuffled([Brightness, Contrast, Saturation, Hue]),
        }
    }
}

/// torchvision's `RandomResizedCrop.get_params`: ten tries for a box that fits, then the largest centred box whose
/// ratio is allowed.
fn random_resized_crop(
    rng: &mut ViewRng,
    width: usize,
    height: usize,
    scale: (f64, f64),
    ratio: (f64, f64),
) -> CropBox {
    let area = (width * height) as f64;
    let log_ratio = (libm::log(ratio.0), libm::log(ratio.1));
    for _ in 0..10 {
        let target_area = area * rng.uniform(scale.0, scale.1);
        let aspect = libm::exp(rng.uniform(log_ratio.0, log_ratio.1));
        let w = libm::rint(libm::sqrt(target_area * aspect)) as usize;
        let h = libm::rint(libm::sqrt(target_area / aspect)) as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = rng.below((height - h + 1) as u32) as usize;
            let left = rng.below((width - w + 1) as u32) as usize;
            return CropBox { top, left, height: h, width: w };
        }
    }
    let in_ratio = width as f64 / height as f64;
    let (w, h) = if in_ratio < ratio.0 {
        (width, libm::rint(width as f64 / ratio.0) as usize)
    } else if in_ratio > ratio.1 {
        (libm::rint(height as f64 * ratio.1) as usize, height)
    } else {
        (width, height)
    };
    // Rounding may exceed the image by nothing, but may reach zero on an image one pixel high.
    let (w, h) = (w.clamp(1, width), h.clamp(1, height));
    CropBox { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
}

/// torchvision's `Resize(resize)` then `CenterCrop(size)`.
fn resize_center(width: usize, height: usize, resize: usize, size: usize) -> Window {
    let (short, long) = (width.min(height), width.max(height));
    let scaled_long = resize * long / short;
    let (scaled_width, scaled_height) =
        if width <= height { (resize, scaled_long) } else { (scaled_long, resize) };
    Window {
        source: CropBox { top: 0, left: 0, height, width },
        scaled_width,
        scaled_height,
        top: half_to_even(scaled_height - size),
        left: half_to_even(scaled_width - size),
    }
}

/// `round(n / 2)` as Python rounds: half goes to the even neighbour.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    half + (n & half & 1)
}
