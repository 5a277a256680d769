//! What training sees at a step: originals beside their views, byte for byte, and everything that was drawn for them.
//!
//! - [`page`]: as an HTML page; [`sheet`]: as a picture.

pub mod page;
pub mod sheet;

use anyhow::{Context, Result};
use image::RgbImage;
use simsiam_pipeline::augment::{Plan, ViewGroup, ViewParams};
use simsiam_pipeline::decode::Decoder;
use simsiam_pipeline::rng::ViewRng;
use simsiam_pipeline::{Batch, Dtype, World};

use crate::config::TrainConfig;
use crate::data::{Data, Place, Source, decoded};

/// The images of a training step.
pub struct Preview {
    /// The step, from 1, as the log counts.
    pub step: u64,
    /// Its epoch, from 1.
    pub epoch: u64,
    /// The views of each image.
    pub groups: Vec<ViewGroup>,
    /// The source of all randomness.
    pub seed: u64,
    /// The first of its images.
    pub images: Vec<Shown>,
}

/// An image and its views.
pub struct Shown {
    /// Shard, number and key.
    pub place: String,
    /// Its class, by its name where that is known; empty where there is none.
    pub class: String,
    /// Its pixels.
    pub original: RgbImage,
    /// What training sees of it.
    pub views: Vec<View>,
}

/// One view.
pub struct View {
    /// Its pixels, before normalisation.
    pub pixels: RgbImage,
    /// What it shows: left, top, width and height in pixels of the original.
    pub shown: [f64; 4],
    /// What was done to it, first to last.
    pub operations: Vec<String>,
}

impl Preview {
    /// The first `count` images of the epoch that the step after `step` steps belongs to, or all of a step if they are fewer. They
    /// do not depend on the size of the batches, so small ones are made, nor on the number of ranks.
    ///
    /// # Errors
    /// As [`of_step`](Self::of_step).
    pub fn of_epoch(config: &TrainConfig, data: &Data, step: u64, count: usize) -> Result<Self> {
        let epoch = step / data.steps_per_epoch(config)?;
        let data = &Data { train: data.train.clone(), knn: None, share: World::SINGLE };
        let count = count.min(config.batch_size * config.accumulate as usize);
        let small = TrainConfig { batch_size: count, accumulate: 1, ..config.clone() };
        let first = epoch * data.steps_per_epoch(&small)?;
        let preview = Self::of_step(&small, data, first + 1, count)?;
        Ok(Self { step: step + 1, ..preview })
    }

    /// The first `count` images of training step `step`, from 1, or all of them if they are fewer.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn of_step(config: &TrainConfig, data: &Data, step: u64, count: usize) -> Result<Self> {
        let epoch = (step - 1) / data.steps_per_epoch(config)?;
        let mut batches = data.batches(config, step - 1, Dtype::U8)?;
        let groups = config.view_groups();
        let mut preview = Self { step, epoch: epoch + 1, groups, seed: config.seed, images: Vec::new() };
        let maker = Maker { plan: Plan::new(&config.recipe), source: &data.train, seed: config.seed };
        for _ in 0..config.accumulate {
            let left = count - preview.images.len();
            if left == 0 {
                break;
            }
            let batch = batches.next().context("the data ends before this step")??;
            for place in 0..batch.len().min(left) {
                preview.images.push(maker.shown(&batch, place)?);
            }
        }
        Ok(preview)
    }
}

/// Draws anew what the pipeline drew.
struct Maker<'a> {
    plan: Plan,
    source: &'a Source,
    seed: u64,
}

impl Maker<'_> {
    fn shown(&self, batch: &Batch, place: usize) -> Result<Shown> {
        let shards = &self.source.shards;
        let sample = batch.samples().nth(place).context("a batch has a sample for each place")?;
        let origin = Place::of(shards, sample);
        let original = decoded(shards, sample, &mut Decoder::default())
            .with_context(|| format!("{}: cannot be read a second time", origin.at))?;
        let size = (original.width() as usize, original.height() as usize);
        let views = 0..batch.views();
        let views = views.map(|view| {
            let mut params = ViewParams::default();
            let mut rng = ViewRng::new(self.seed, batch.epoch(), sample, view as u64);
            self.plan.draw(view, &mut rng, size, &mut params);
            View {
                pixels: picture(batch, view, place),
                shown: params.window.shown(),
                operations: params.operations.iter().map(ToString::to_string).collect(),
            }
        });
        Ok(Shown { place: origin.at.to_string(), class: origin.class(), views: views.collect(), original })
    }
}

/// A view of a batch of bytes, whose channels are planes.
fn picture(batch: &Batch, view: usize, place: usize) -> RgbImage {
    let size = batch.size(view);
    let plane = size.pow(2);
    let pixels = &batch.view::<u8>(view)[place * 3 * plane..][..3 * plane];
    RgbImage::from_fn(size as u32, size as u32, |x, y| {
        let at = y as usize * size + x as usize;
        image::Rgb([0, 1, 2].map(|channel| pixels[channel * plane + at]))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An image with two views and a name that must not become markup.
    pub(crate) fn example() -> Preview {
        let view = |left: f64, operations: &[&str]| View {
            pixels: RgbImage::from_pixel(4, 4, image::Rgb([200, 30, 30])),
            shown: [left, 1.0, 8.0, 6.0],
            operations: operations.iter().map(ToString::to_string).collect(),
        };
        let shown = Shown {
            place: "shard a<b>.tar, sample 3 \"x & y\"".into(),
            class: "<script>alert(1)</script>".into(),
            original: RgbImage::from_pixel(20, 10, image::Rgb([30, 60, 200])),
            views: vec![view(0.0, &["brightness 1.20", "horizontal flip"]), view(10.0, &[])],
        };
        Preview {
            step: 12,
            epoch: 2,
            groups: vec![ViewGroup { count: 2, size: 4 }],
            seed: 0,
            images: vec![shown],
        }
    }
}
