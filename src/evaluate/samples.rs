//! Some images with their features, to be looked at.

use anyhow::Result;
use image::RgbImage;
use simsiam_pipeline::Recipe;

use super::features::{Extractor, FeatureBatch};
use crate::data::Source;
use crate::inspect::duplicates::report::Place;

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
    /// The first usable images of a source, `most` at most.
    ///
    /// # Errors
    /// If they cannot be read, the features are not finite, or the user asked to stop.
    pub fn first(extractor: &Extractor<'_>, source: &Source, most: usize) -> Result<Self> {
        let mut samples = Self { dim: extractor.encoder.dim(), ..Self::default() };
        for batch in extractor.plain(source)? {
            let FeatureBatch { images, features } = batch?;
            let taken = images.len().min(most - samples.images.len());
            samples.features.extend(&features[..taken * samples.dim]);
            let side = images.size(0);
            let pixels = images.view::<f32>(0).chunks_exact(3 * side * side);
            samples.images.extend(images.samples().zip(pixels).take(taken).map(|(sample, pixels)| {
                let place = Place::of(&source.shards, sample);
                let thumbnail = picture(pixels, side, extractor.recipe);
                Sampled { sample, place: place.at.to_string(), class: place.class(), thumbnail }
            }));
            if samples.images.len() == most {
                break;
            }
        }
        Ok(samples)
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
