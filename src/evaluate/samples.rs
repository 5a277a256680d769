//! Some images with their features, to be looked at.

use anyhow::Result;
use image::RgbImage;
use image::imageops::{FilterType, replace, resize};
use simsiam_pipeline::Recipe;

use super::features::{Extractor, FeatureBatch};
use crate::data::{Place, Source};

/// Images and what an encoder makes of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Length of one feature.
    pub dim: usize,
    /// One row of `dim` values for each image.
    pub features: Vec<f32>,
    /// The images.
    pub images: Vec<Sampled>,
}

/// An image.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Its number in its source.
    pub sample: u64,
    /// Shard, number and key.
    pub place: String,
    /// Its class, by its name where that is known; empty where there is none.
    pub class: String,
    /// What the encoder sees of it.
    pub thumbnail: RgbImage,
}

impl Samples {
    /// Usable images of a source, `most` at most, drawn by a fixed permutation.
    ///
    /// # Errors
    /// If they cannot be read, the features are not finite, or the user asked to stop.
    pub fn of(extractor: &Extractor<'_>, source: &Source, most: usize) -> Result<Self> {
        let mut samples = Self { dim: extractor.encoder.dim(), ..Self::default() };
        for batch in extractor.plain(&source.some(most as u64))? {
            let FeatureBatch { images, features } = batch?;
            samples.features.extend(&features);
            let side = images.size(0);
            let pixels = images.view::<f32>(0).chunks_exact(3 * side * side);
            samples.images.extend(images.samples().zip(pixels).map(|(sample, pixels)| {
                let place = Place::of(&source.shards, sample);
                let thumbnail = picture(pixels, side, extractor.recipe);
                Sampled { sample, place: place.at.to_string(), class: place.class(), thumbnail }
            }));
        }
        Ok(samples)
    }
}

impl Samples {
    /// The thumbnails, `side` x `side` each, row after row in about as many columns as rows; and the columns.
    pub fn mosaic(&self, side: u32) -> (RgbImage, u32) {
        let columns = (self.images.len() as f64).sqrt().ceil().max(1.0) as u32;
        let rows = (self.images.len() as u32).div_ceil(columns).max(1);
        let mut mosaic = RgbImage::new(columns * side, rows * side);
        for (at, image) in (0..).zip(&self.images) {
            let small = resize(&image.thumbnail, side, side, FilterType::Triangle);
            replace(&mut mosaic, &small, i64::from(at % columns * side), i64::from(at / columns * side));
        }
        (mosaic, columns)
    }
}

/// Normalised planes as an image.
fn picture(planes: &[f32], side: usize, recipe: &Recipe) -> RgbImage {
    RgbImage::from_fn(side as u32, side as u32, |x, y| {
        let at = y as usize * side + x as usize;
        let value = |channel: usize| {
            let normalised = planes[channel * side * side + at];
            (255.0 * (normalised * recipe.std[channel] + recipe.mean[channel])).round() as u8
        };
        image::Rgb([0, 1, 2].map(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_bytes_that_were_normalised() {
        let recipe = Recipe::cifar10();
        let levels = recipe.levels();
        let bytes: Vec<[u8; 3]> = vec![[0, 128, 255], [7, 77, 177], [255, 0, 3], [1, 2, 254]];
        let planes: Vec<f32> = (0..3)
            .flat_map(|channel| bytes.iter().map(move |pixel| (channel, pixel[channel])))
            .map(|(channel, byte)| levels[channel][usize::from(byte)])
            .collect();
        let picture = picture(&planes, 2, &recipe);
        assert_eq!(picture.pixels().map(|pixel| pixel.0).collect::<Vec<_>>(), bytes);
    }
}
