//! One sample of a set: where it is, and its pixels.

use std::fmt;

use image::RgbImage;
use serde::Serialize;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::Decoder;
use simsiam_pipeline::shards::Location;

/// Where a sample is, and its class.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Its number in its set.
    pub sample: u64,
    /// Where it is.
    pub at: Location<'static>,
    /// Its label.
    pub label: Option<u32>,
    /// The label's name.
    pub class: Option<String>,
}

impl Place {
    /// Of a sample.
    pub fn of(shards: &ShardSet, sample: u64) -> Self {
        let label = shards.label(sample);
        let class = label.and_then(|label| shards.class_names()?.get(label as usize).cloned());
        Self { sample, at: shards.locate(sample).into_owned(), label, class }
    }

    /// The class's name, else the label; nothing where there is none.
    pub fn class(&self) -> String {
        let number = || self.label.map(|label| label.to_string());
        self.class.clone().or_else(number).unwrap_or_default()
    }
}

/// `train-003.tar 1042 "n0144" cat`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { shard, sample, key, .. } = &self.at;
        let text = format!("{} {sample} {key:?} {}", shard.display(), self.class());
        f.pad(text.trim_end())
    }
}

/// A sample's pixels; `None` if it can no longer be read or decoded.
pub fn decoded(shards: &ShardSet, sample: u64, decoder: &mut Decoder) -> Option<RgbImage> {
    let encoded = shards.read(sample).ok()?;
    let image = decoder.decode(&encoded.bytes).ok()?;
    let (width, height) = (image.width as u32, image.height as u32);
    RgbImage::from_raw(width, height, image.pixels.to_vec())
}
