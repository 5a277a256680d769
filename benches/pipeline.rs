//! Images per second (two augmented views each) of the whole pipeline, on the demo's 40-pixel JPEGs.
//!
//! `cargo bench --bench pipeline`

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use simsiam::demo::{self, DemoConfig};
use simsiam::interrupt::Interrupt;
use simsiam_pipeline::pack::{PackOptions, pack};
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{OnBadSample, PipelineConfig, Quarantine, Recipe, ShardSet};

const BATCH: usize = 128;

fn two_views(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let config = DemoConfig { train_per_class: 100, val_per_class: 1, ..DemoConfig::default() };
    let images = demo::generate(&dir.path().join("images"), &config, &Interrupt::default(), &mut |_, _| ())
        .expect("images can be written");
    let shards = dir.path().join("shards");
    pack(&images.train.to_string_lossy(), &shards, &PackOptions::default(), &mut |_| ())
        .expect("shards can be written");
    let shards =
        ShardSet::open(&[shards.to_string_lossy()], &OpenOptions::default()).expect("shards can be opened");
    let shards = Arc::new(shards);

    let mut group = c.benchmark_group("two 32-pixel views");
    group.throughput(Throughput::Elements(BATCH as u64));
    for workers in [1, 2] {
        let config = PipelineConfig { workers, ..PipelineConfig::training(Recipe::cifar10(), BATCH, 0) };
        let quarantine = Arc::new(Quarantine::new(OnBadSample::Fail, shards.len()));
        let mut batches =
            simsiam_pipeline::start(shards.clone(), quarantine, &config).expect("the pipeline starts");
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter(|| batches.next().expect("epochs have no end").expect("all samples are good").len());
        });
    }
    group.finish();
}

criterion_group!(benches, two_views);
criterion_main!(benches);
