//! What happens to one view: the recipe's random choices, drawn from the image's size before it is decoded.

use serde::{Deserialize, Serialize};

use super::{ColorJitter, Crop, Interpolation, Operation, Plan, Recipe};
use crate::image::Region;
use crate::rng::ViewRng;

/// Everything that is random about one view. With the image it determines every byte.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewParams {
    /// Which pixels the view shows.
    pub window: Window,
    /// What is done to them, first to last.
    pub operations: Vec<Operation>,
}

/// Crop, resize, crop: `source` is cut out of the image, resized to `scaled_width` x `scaled_height`, and the view is
/// the square whose corner is (`top`, `left`) there.
///
/// A random resized crop has `scaled_* = size` and a corner of 0; resize and centre crop has the whole image as source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The part of the image that is resized. The filter sees no pixel outside it.
    pub source: Region,
    /// Width after resizing, in pixels.
    pub scaled_width: usize,
    /// Height after resizing, in pixels.
    pub scaled_height: usize,
    /// First row of the view within the resized box.
    pub top: usize,
    /// First column of the view within the resized box.
    pub left: usize,
    /// Side of the view, in pixels.
    pub size: usize,
    /// The filter of the resize.
    pub interpolation: Interpolation,
}

impl Window {
    /// All of `source`, resized bilinearly to `size` x `size`.
    pub fn whole(source: Region, size: usize) -> Self {
        let interpolation = Interpolation::Bilinear;
        Self { source, scaled_width: size, scaled_height: size, top: 0, left: 0, size, interpolation }
    }

    /// What the view shows: left, top, width and height in pixels of the image.
    pub fn shown(&self) -> [f64; 4] {
        let Self { source, scaled_width, scaled_height, top, left, size, .. } = *self;
        let across = source.width as f64 / scaled_width as f64;
        let down = source.height as f64 / scaled_height as f64;
        let (left, top) = (source.left as f64 + left as f64 * across, source.top as f64 + top as f64 * down);
        [left, top, size as f64 * across, size as f64 * down]
    }
}

/// One change of a colour jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl JitterOp {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Brightness, Self::Contrast, Self::Saturation, Self::Hue];
}

impl Recipe {
    /// Draws the parameters of a view, by its number, of an image of `width` x `height` pixels, with torchvision's distributions. To
    /// draw many, keep a [`Plan`].
    ///
    /// # Panics
    /// When the image has no pixels, or there is no such view.
    pub fn draw(&self, view: usize, rng: &mut ViewRng, width: usize, height: usize) -> ViewParams {
        let mut params = ViewParams::default();
        Plan::new(self).draw(view, rng, (width, height), &mut params);
        params
    }
}

impl Default for ViewParams {
    /// One pixel, as it is.
    fn default() -> Self {
        let source = Region { top: 0, left: 0, height: 1, width: 1 };
        Self { window: Window::whole(source, 1), operations: Vec::new() }
    }
}

impl Crop {
    pub(super) fn draw(self, rng: &mut ViewRng, (width, height): (usize, usize), size: usize) -> Window {
        let window = match self {
            Self::RandomResized { scale, ratio, .. } => {
                Window::whole(random_resized_crop(rng, width, height, scale, ratio), size)
            }
            Self::ResizeCenter { resize, .. } => resize_center(width, height, resize, size),
        };
        Window { interpolation: self.interpolation(), ..window }
    }
}

impl ColorJitter {
    pub(super) fn draw(&self, rng: &mut ViewRng) -> [Operation; 4] {
        let mut factor = |strength: f64| rng.uniform((1.0 - strength).max(0.0), 1.0 + strength);
        let [brightness, contrast, saturation] =
            [self.brightness, self.contrast, self.saturation].map(&mut factor);
        let hue = rng.uniform(-self.hue, self.hue);
        let order = self.order.unwrap_or_else(|| rng.shuffled(JitterOp::ALL));
        order.map(|op| match op {
            JitterOp::Brightness => Operation::Brightness(brightness),
            JitterOp::Contrast => Operation::Contrast(contrast),
            JitterOp::Saturation => Operation::Saturation(saturation),
            JitterOp::Hue => Operation::Hue(hue),
        })
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
) -> Region {
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
            return Region { top, left, height: h, width: w };
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
    // An extreme ratio may round a side of a tiny image to zero.
    let (w, h) = (w.clamp(1, width), h.clamp(1, height));
    Region { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
}

/// torchvision's `Resize(resize)` then `CenterCrop(size)`.
fn resize_center(width: usize, height: usize, resize: usize, size: usize) -> Window {
    let (short, long) = (width.min(height), width.max(height));
    let scaled_long = resize * long / short;
    let (scaled_width, scaled_height) =
        if width <= height { (resize, scaled_long) } else { (scaled_long, resize) };
    Window {
        scaled_width,
        scaled_height,
        top: half_to_even(scaled_height - size),
        left: half_to_even(scaled_width - size),
        ..Window::whole(Region { top: 0, left: 0, height, width }, size)
    }
}

/// `round(n / 2)` as Python rounds: half goes to the even neighbour.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    half + (n & half & 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::GaussianBlur;

    fn draws(recipe: &Recipe, width: usize, height: usize, n: u64) -> Vec<ViewParams> {
        (0..n).map(|sample| recipe.draw(0, &mut ViewRng::new(3, 0, sample, 0), width, height)).collect()
    }

    fn share(draws: &[ViewParams], holds: impl Fn(&ViewParams) -> bool) -> f64 {
        draws.iter().filter(|params| holds(params)).count() as f64 / draws.len() as f64
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let values: Vec<f64> = values.collect();
        values.iter().sum::<f64>() / values.len() as f64
    }

    #[test]
    fn steps_happen_with_their_probabilities() {
        let draws = draws(&Recipe::imagenet(), 500, 375, 20_000);
        let has = |is: fn(&Operation) -> bool| share(&draws, |params| params.operations.iter().any(is));
        for (found, expected) in [
            (has(|operation| matches!(operation, Operation::Contrast(_))), 0.8),
            (has(|operation| *operation == Operation::Gray), 0.2),
            (has(|operation| matches!(operation, Operation::Blur(_))), 0.5),
            (has(|operation| *operation == Operation::HorizontalFlip), 0.5),
        ] {
            assert!((found - expected).abs() < 0.015, "{found}, expected {expected}");
        }
    }

    #[test]
    fn factors_are_uniform_in_their_ranges() {
        let draws = draws(&Recipe::imagenet(), 500, 375, 20_000);
        let operations = || draws.iter().flat_map(|params| &params.operations);
        type Field = fn(&Operation) -> Option<f64>;
        let fields: [(Field, f64, f64); 5] = [
            (|op| if let Operation::Brightness(factor) = op { Some(*factor) } else { None }, 0.6, 1.4),
            (|op| if let Operation::Contrast(factor) = op { Some(*factor) } else { None }, 0.6, 1.4),
            (|op| if let Operation::Saturation(factor) = op { Some(*factor) } else { None }, 0.6, 1.4),
            (|op| if let Operation::Hue(turn) = op { Some(*turn) } else { None }, -0.1, 0.1),
            (|op| if let Operation::Blur(sigma) = op { Some(*sigma) } else { None }, 0.1, 2.0),
        ];
        for (field, low, high) in fields {
            assert!(operations().filter_map(field).all(|value| (low..high).contains(&value)));
            let (found, width) = (mean(operations().filter_map(field)), high - low);
            assert!((found - (low + high) / 2.0).abs() < 0.012 * width, "{found} in {low} to {high}");
        }
        let is_hue = |operation: Option<&Operation>| matches!(operation, Some(Operation::Hue(_)));
        let first = share(&draws, |params| is_hue(params.operations.first())) / 0.8;
        assert!((first - 0.25).abs() < 0.015, "{first}");
    }

    #[test]
    fn a_fixed_order_is_kept() {
        let order = [JitterOp::Hue, JitterOp::Brightness, JitterOp::Saturation, JitterOp::Contrast];
        let jitter = Recipe::imagenet().color_jitter.map(|jitter| ColorJitter {
            p: 1.0,
            order: Some(order),
            ..jitter
        });
        for params in draws(&Recipe { color_jitter: jitter, ..Recipe::imagenet() }, 64, 64, 50) {
            assert!(matches!(
                params.operations[..4],
                [
                    Operation::Hue(_),
                    Operation::Brightness(_),
                    Operation::Saturation(_),
                    Operation::Contrast(_)
                ]
            ));
        }
    }

    #[test]
    fn boxes_lie_inside_and_keep_area_and_ratio() {
        for (width, height) in [(500, 375), (32, 32), (91, 137)] {
            for params in draws(&Recipe::imagenet(), width, height, 5_000) {
                let Region { top, left, height: h, width: w } = params.window.source;
                assert!(top + h <= height && left + w <= width && h > 0 && w > 0);
                // Rounding moves a side by half a pixel.
                let area = |half: f64| (w as f64 + half) * (h as f64 + half) / (width * height) as f64;
                assert!(area(0.5) >= 0.2 && area(-0.5) <= 1.0, "{w} x {h} of {width} x {height}");
                assert!((w as f64 + 0.5) / (h as f64 - 0.5) >= 0.75, "{w} x {h}");
                assert!((w as f64 - 0.5) / (h as f64 + 0.5) <= 4.0 / 3.0, "{w} x {h}");
            }
        }
    }

    #[test]
    fn boxes_have_torchvisions_distribution() {
        // Means over 60,000 draws of torchvision 0.29's `RandomResizedCrop.get_params` for a 500 x 375 image and the
        // ImageNet recipe: share of the area, and width over height.
        let draws = draws(&Recipe::imagenet(), 500, 375, 20_000);
        let boxes = || draws.iter().map(|params| params.window.source);
        let area = mean(boxes().map(|b| (b.width * b.height) as f64 / (500.0 * 375.0)));
        let ratio = mean(boxes().map(|b| b.width as f64 / b.height as f64));
        let x = mean(boxes().map(|b| (b.left as f64 + b.width as f64 / 2.0) / 500.0));
        let y = mean(boxes().map(|b| (b.top as f64 + b.height as f64 / 2.0) / 375.0));
        for (found, expected) in [(area, TORCHVISION_AREA), (ratio, TORCHVISION_RATIO), (x, 0.5), (y, 0.5)] {
            assert!((found - expected).abs() < 0.01, "{found}, expected {expected}");
        }
    }

    const TORCHVISION_AREA: f64 = 0.4954;
    const TORCHVISION_RATIO: f64 = 1.0512;

    #[test]
    fn a_strip_falls_back_to_its_center() {
        let recipe = Recipe::imagenet();
        for params in draws(&recipe, 1000, 10, 50) {
            assert_eq!(params.window.source, Region { top: 0, left: 493, height: 10, width: 13 });
        }
        for params in draws(&recipe, 10, 1000, 50) {
            assert_eq!(params.window.source, Region { top: 493, left: 0, height: 13, width: 10 });
        }
        for params in draws(&recipe, 1, 1, 50) {
            assert_eq!(params.window.source, Region { top: 0, left: 0, height: 1, width: 1 });
        }
    }

    #[test]
    fn evaluation_draws_the_same_for_every_sample() {
        let draws = draws(&Recipe::imagenet().evaluation(), 500, 375, 10);
        let window = Window {
            source: Region { top: 0, left: 0, height: 375, width: 500 },
            scaled_width: 341,
            scaled_height: 256,
            top: 16,
            left: 58,
            size: 224,
            interpolation: Interpolation::Bilinear,
        };
        let still = ViewParams { window, operations: vec![] };
        assert!(draws.iter().all(|params| *params == still), "{:?}", draws[0]);
        let [left, top, width, height] = still.window.shown();
        assert!((left - 85.0).abs() < 0.1 && (top - 23.4).abs() < 0.1, "{left}, {top}");
        assert!((width - 328.4).abs() < 0.1 && (height - 328.1).abs() < 0.1, "{width} x {height}");
    }

    #[test]
    fn a_recipe_without_steps_draws_none() {
        let still = GaussianBlur { p: 0.0, sigma: (0.1, 2.0) };
        let recipe = Recipe {
            color_jitter: None,
            grayscale_p: 0.0,
            blur: Some(still),
            flip_p: 0.0,
            ..Recipe::imagenet()
        };
        assert!(draws(&recipe, 64, 64, 200).iter().all(|params| params.operations.is_empty()));
    }
}
