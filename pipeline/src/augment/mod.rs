//! Random views with Pillow's pixels and torchvision's distributions.
//!
//! A [`Recipe`] says what may happen, [`Recipe::draw`] decides what happens to one view (it needs the image's size, not
//! its pixels), and an [`Augmenter`] does it: crop and resize, colour jitter, gray, blur, flip, normalise. Every
//! operation is held against Pillow's by `tests/golden.rs`; the measured errors are in `docs/augmentation.md`.

mod blur;
mod color;
mod hue;
mod needed;
mod normalise;
mod params;
mod recipe;
mod resize;
mod source;

pub use needed::Needed;
pub use params::{CropBox, JitterOp, JitterParams, ViewParams, Window};
pub use recipe::{ColorJitter, Crop, GaussianBlur, Recipe, RecipeError};
pub use source::RgbPart;

use blur::Blur;
use normalise::Normaliser;
use resize::Resizer;

/// Makes views of one recipe, reusing its scratch memory. One per worker.
///
/// Nothing is allocated once the scratch has grown to the largest image seen.
#[derive(Debug)]
pub struct Augmenter {
    size: usize,
    normaliser: Normaliser,
    resizer: Resizer,
    blur: Blur,
    view: Vec<u8>,
}

impl Augmenter {
    /// An augmenter whose views have the size and normalisation of `recipe`.
    pub fn new(recipe: Recipe) -> Self {
        Self {
            size: recipe.size,
            normaliser: Normaliser::new(recipe.mean, recipe.std),
            resizer: Resizer::default(),
            blur: Blur::default(),
            view: vec![0; recipe.size * recipe.size * 3],
        }
    }

    /// Writes a normalised view as planes: `3 * size * size` values, channels first.
    ///
    /// # Panics
    /// When `out` has another length, or `part` does not hold what [`Recipe::needed`] says.
    pub fn view(&mut self, part: RgbPart<'_>, params: &ViewParams, out: &mut [f32]) {
        self.render(part, params);
        self.normaliser.planes(&self.view, self.size, params.flip, out);
    }

    /// A view before normalising: `size * size * 3` bytes, interleaved RGB.
    ///
    /// # Panics
    /// When `part` does not hold what [`Recipe::needed`] says.
    pub fn view_rgb(&mut self, part: RgbPart<'_>, params: &ViewParams) -> &[u8] {
        self.render(part, params);
        if params.flip {
            flip(&mut self.view, self.size);
        }
        &self.view
    }

    /// Every step but the last two, flip and normalise, which read the view once and together.
    fn render(&mut self, part: RgbPart<'_>, params: &ViewParams) {
        self.resizer.resize(&part, &params.window, self.size, &mut self.view);
        if let Some(jitter) = &params.jitter {
            apply_jitter(&mut self.view, jitter);
        }
        if params.grayscale {
            color::gray(&mut self.view);
        }
        if let Some(sigma) = params.blur_sigma {
            self.blur.gaussian(&mut self.view, self.size, sigma);
        }
    }
}

fn apply_jitter(pixels: &mut [u8], jitter: &JitterParams) {
    for op in jitter.order {
        match op {
            JitterOp::Brightness => color::brightness(pixels, jitter.brightness),
            JitterOp::Contrast => color::contrast(pixels, jitter.contrast),
            JitterOp::Saturation => color::saturation(pixels, jitter.saturation),
            JitterOp::Hue => hue::turn(pixels, jitter.hue),
        }
    }
}

/// Mirrors each row of `width` RGB pixels.
fn flip(pixels: &mut [u8], width: usize) {
    for row in pixels.chunks_exact_mut(width * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::RgbImage;
    use crate::rng::ViewRng;

    #[test]
    fn one_pixel_and_narrow_images_become_views() {
        for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 300)] {
            let pixels: Vec<u8> = (0..width * height * 3).map(|i| i as u8).collect();
            let image = RgbImage { width, height, pixels: &pixels };
            let recipe = Recipe { size: 16, ..Recipe::imagenet() };
            let mut augmenter = Augmenter::new(recipe.clone());
            for sample in 0..50 {
                let params = recipe.draw(&mut ViewRng::new(0, 0, sample, 0), width, height);
                let mut out = [f32::NAN; 3 * 16 * 16];
                augmenter.view(image.into(), &params, &mut out);
                assert!(out.iter().all(|value| value.is_finite()));
            }
        }
    }

    #[test]
    fn a_view_depends_on_its_parameters_alone() {
        let pixels: Vec<u8> = (0..50 * 40 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = RgbImage { width: 50, height: 40, pixels: &pixels };
        let recipe = Recipe { size: 24, ..Recipe::imagenet() };
        let params = |sample| recipe.draw(&mut ViewRng::new(1, 0, sample, 0), 50, 40);
        let mut used = Augmenter::new(recipe.clone());
        for sample in 0..40 {
            let fresh = Augmenter::new(recipe.clone()).view_rgb(image.into(), &params(sample)).to_vec();
            assert_eq!(used.view_rgb(image.into(), &params(sample)), fresh);
        }
    }

    #[test]
    fn scratch_stops_growing() {
        let pixels = vec![7; 80 * 60 * 3];
        let image = RgbImage { width: 80, height: 60, pixels: &pixels };
        let recipe = Recipe { size: 32, ..Recipe::imagenet() };
        let mut augmenter = Augmenter::new(recipe.clone());
        let epoch = |augmenter: &mut Augmenter| {
            for sample in 0..300 {
                let params = recipe.draw(&mut ViewRng::new(2, 0, sample, 0), 80, 60);
                augmenter.view_rgb(image.into(), &params);
            }
            (augmenter.resizer.capacities(), augmenter.blur.capacities(), augmenter.view.capacity())
        };
        let grown = epoch(&mut augmenter);
        assert_eq!(epoch(&mut augmenter), grown);
    }
}
