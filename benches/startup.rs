//! Time to the first batch: opening indexed shards, starting the pipeline, and taking one batch of two views.
//!
//! `SIMSIAM_BENCH_SAMPLES=1300000 cargo bench --bench startup` makes ImageNet's number of samples (2 GB of shards in the
//! temporary folder); without it, 20,000.

use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use simsiam_pipeline::shards::{OpenOptions, ShardWriter};
use simsiam_pipeline::{OnBadSample, PipelineConfig, Quarantine, Recipe, ShardSet};

const SAMPLES_A_SHARD: u64 = 10_000;

fn first_batch(c: &mut Criterion) {
    let samples: u64 = std::env::var("SIMSIAM_BENCH_SAMPLES")
        .map_or(20_000, |samples| samples.parse().expect("SIMSIAM_BENCH_SAMPLES is a number"));
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    write_shards(dir.path(), samples);
    let pattern = [dir.path().to_string_lossy()];
    let open = || Arc::new(ShardSet::open(&pattern, &OpenOptions::default()).expect("shards can be opened"));
    assert_eq!(open().len(), samples); // and indexes them
    let config = PipelineConfig { workers: 1, ..PipelineConfig::training(Recipe::cifar10(), 128, 0) };

    let mut group = c.benchmark_group("first batch");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("samples", samples), |b| {
        b.iter(|| {
            let shards = open();
            let quarantine = Arc::new(Quarantine::new(OnBadSample::Fail, shards.len()));
            let mut batches =
                simsiam_pipeline::start(shards, quarantine, &config).expect("the pipeline starts");
            batches.next().expect("there is a batch").expect("all samples are good").len()
        });
    });
    group.finish();
}

fn write_shards(dir: &Path, samples: u64) {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([8 * x as u8, 8 * y as u8, 128]));
    image.write_to(&mut jpeg, image::ImageFormat::Jpeg).expect("a picture can be encoded");
    for (shard, first) in (0..samples).step_by(SAMPLES_A_SHARD as usize).enumerate() {
        let path = dir.join(format!("train-{shard:03}.tar"));
        let mut writer = ShardWriter::create(&path).expect("a shard can be written");
        for key in first..(first + SAMPLES_A_SHARD).min(samples) {
            writer
                .append(&format!("n{key:08}"), "jpg", jpeg.get_ref(), None)
                .expect("a shard can be written");
        }
        writer.finish().expect("a shard can be written");
    }
}

criterion_group!(benches, first_batch);
criterion_main!(benches);
