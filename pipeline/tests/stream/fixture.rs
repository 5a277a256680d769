//! Small shards of this test's own images.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{Batch, Batches, OnBadSample, PipelineConfig, Quarantine, Recipe, ShardSet};
use tempfile::TempDir;

/// Shards in a folder that goes away with this value.
pub(crate) struct Fixture {
    dir: TempDir,
    pub(crate) shards: Arc<ShardSet>,
    pub(crate) quarantine: Arc<Quarantine>,
}

impl Fixture {
    /// `count` JPEGs of different sizes in three shards; those in `broken` are cut to half their bytes.
    pub(crate) fn new(count: usize, broken: &[usize]) -> Self {
        Self::with_policy(count, broken, OnBadSample::default())
    }

    pub(crate) fn with_policy(count: usize, broken: &[usize], policy: OnBadSample) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let samples: Vec<_> = (0..count).map(|index| (index, broken.contains(&index))).collect();
        for (number, samples) in samples.chunks(count.div_ceil(3)).enumerate() {
            write_shard(&dir.path().join(format!("train-{number:03}.tar")), samples);
        }
        let pattern = pattern(&dir);
        let shards = Arc::new(ShardSet::open(&[pattern], &OpenOptions::default()).unwrap());
        assert_eq!(shards.len(), count as u64);
        let quarantine = Arc::new(Quarantine::new(policy, shards.len()));
        Self { dir, shards, quarantine }
    }

    pub(crate) fn pattern(&self) -> String {
        pattern(&self.dir)
    }

    pub(crate) fn start(&self, config: &PipelineConfig) -> Batches {
        simsiam_pipeline::start(self.shards.clone(), self.quarantine.clone(), config).unwrap()
    }
}

fn pattern(dir: &TempDir) -> String {
    dir.path().join("*.tar").to_str().unwrap().to_owned()
}

/// Two views of 32 pixels, two epochs, batch 8.
pub(crate) fn training() -> PipelineConfig {
    PipelineConfig { epochs: 0..2, ..PipelineConfig::training(Recipe::cifar10(), 8, 42) }
}

/// Epoch, step, and a hash of everything in the batch.
pub(crate) fn digest(batch: &Batch) -> (u64, u64, u64) {
    let mut hasher = DefaultHasher::new();
    batch.samples().collect::<Vec<_>>().hash(&mut hasher);
    batch.labels().collect::<Vec<_>>().hash(&mut hasher);
    for view in 0..batch.views() {
        batch.view::<f32>(view).iter().for_each(|value| value.to_bits().hash(&mut hasher));
    }
    (batch.epoch(), batch.step(), hasher.finish())
}

pub(crate) fn digests(batches: Batches) -> Vec<(u64, u64, u64)> {
    batches.map(|batch| digest(&batch.unwrap())).collect()
}

fn write_shard(path: &PathBuf, samples: &[(usize, bool)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    let mut append = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, Path::new(&name), bytes).unwrap();
    };
    for &(index, broken) in samples {
        let bytes = jpeg(index);
        let end = if broken { bytes.len() / 2 } else { bytes.len() };
        append(format!("{index:05}.jpg"), &bytes[..end]);
        append(format!("{index:05}.cls"), (index % 10).to_string().as_bytes());
    }
    tar.finish().unwrap();
}

pub(crate) fn jpeg(index: usize) -> Vec<u8> {
    let (width, height) = (24 + index as u32 % 40, 60 - index as u32 % 30);
    let image = RgbImage::from_fn(width, height, |x, y| {
        let wave = |f: u32| ((x * f + y * (index as u32 % 7 + 1)) % 256) as u8;
        Rgb([wave(3), wave(5), wave(index as u32 % 11 + 1)])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&image).unwrap();
    bytes
}
