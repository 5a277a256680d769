//! The workers' steps without the pipeline around them: bare threads that read, decode and augment. Samples that cannot be
//! used are left out.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rayon::ThreadPool;
use simsiam_pipeline::augment::ViewGroup;
use simsiam_pipeline::decode::{DecodeLimits, Decoder};
use simsiam_pipeline::sampler::{EpochOrder, Sampler};
use simsiam_pipeline::stats::{Bottleneck, PipelineStats};
use simsiam_pipeline::views::ViewMaker;
use simsiam_pipeline::{Layout, PipelineConfig, ShardSet};

use super::StepMicros;

/// Images of one piece of work, for each thread.
const IMAGES_A_THREAD: u64 = 64;

/// Threads that go through the samples in training's order.
pub(super) struct Workers {
    shards: Arc<ShardSet>,
    order: EpochOrder,
    samples: u64,
    /// Of an image's views.
    sizes: Vec<usize>,
    pool: ThreadPool,
    benches: Vec<Mutex<Bench>>,
    next: u64,
}

/// What a thread owns.
struct Bench {
    decoder: Decoder,
    maker: ViewMaker,
    view: Vec<f32>,
    times: StepTimes,
}

/// Time spent in each step, over all workers.
#[derive(Clone, Copy, Default)]
pub(super) struct StepTimes {
    images: u64,
    read: Duration,
    decode: Duration,
    augment: Duration,
}

impl Workers {
    pub(super) fn new(shards: &Arc<ShardSet>, config: &PipelineConfig) -> Result<Self> {
        config.validate()?;
        let sampler: Sampler = config.sampler(shards)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.workers)
            .thread_name(|number| format!("bench-{number}"))
            .build()
            .context("cannot start the workers")?;
        let sizes: Vec<usize> = ViewGroup::sizes(&config.groups()).collect();
        let largest = sizes.iter().max().copied().unwrap_or(0);
        let bench = || {
            Mutex::new(Bench {
                decoder: Decoder::new(DecodeLimits::default()),
                maker: ViewMaker::new(config.recipe.clone(), config.views, config.seed),
                view: vec![0.0; 3 * largest * largest],
                times: StepTimes::default(),
            })
        };
        Ok(Self {
            shards: shards.clone(),
            order: sampler.epoch(0),
            samples: config.part.len(config.population(shards).len()),
            sizes,
            pool,
            benches: (0..config.workers).map(|_| bench()).collect(),
            next: 0,
        })
    }

    /// Reads and decodes some images, whole; how many.
    pub(super) fn decode(&mut self) -> Result<u64> {
        self.each(|bench, shards, sample| {
            let started = Instant::now();
            let encoded = shards.read(sample)?;
            let read = Instant::now();
            bench.decoder.decode(&encoded.bytes).with_context(|| shards.locate(sample).to_string())?;
            bench.times.add(read - started, read.elapsed(), Duration::ZERO);
            Ok(())
        })
    }

    /// Reads and decodes some images and makes the views of each; how many images.
    pub(super) fn views(&mut self) -> Result<u64> {
        let sizes = self.sizes.clone();
        self.each(|bench, shards, sample| {
            let started = Instant::now();
            let encoded = shards.read(sample)?;
            let read = Instant::now();
            let mut views = bench
                .maker
                .decode(&encoded.bytes, 0, sample)
                .with_context(|| shards.locate(sample).to_string())?;
            let decoded = Instant::now();
            for (view, size) in sizes.iter().enumerate() {
                views.render(view, Layout::Nchw, &mut bench.view[..3 * size * size])?;
            }
            bench.times.add(read - started, decoded - read, decoded.elapsed());
            Ok(())
        })
    }

    /// The times since the last call.
    pub(super) fn take_times(&mut self) -> StepTimes {
        let mut sum = StepTimes::default();
        for bench in &mut self.benches {
            let times = std::mem::take(&mut bench.get_mut().unwrap_or_else(PoisonError::into_inner).times);
            sum.images += times.images;
            sum.read += times.read;
            sum.decode += times.decode;
            sum.augment += times.augment;
        }
        sum
    }

    /// Does `work` on the next samples, on all threads; for how many it worked.
    ///
    /// # Errors
    /// If it worked for none: why it did not for the last.
    fn each(&mut self, work: impl Fn(&mut Bench, &ShardSet, u64) -> Result<()> + Sync) -> Result<u64> {
        let (next, end) =
            (AtomicU64::new(self.next), self.next + IMAGES_A_THREAD * self.benches.len() as u64);
        self.next = end;
        let (benches, shards, order, samples) = (&self.benches, &self.shards, &self.order, self.samples);
        let outcomes = self.pool.broadcast(|thread| {
            let mut bench = benches[thread.index()].lock().unwrap_or_else(PoisonError::into_inner);
            let (mut images, mut failure) = (0, None);
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= end {
                    return (images, failure);
                }
                match work(&mut bench, shards, order.sample(number % samples)) {
                    Ok(()) => images += 1,
                    Err(error) => failure = Some(error),
                }
            }
        });
        let images = outcomes.iter().map(|(images, _)| images).sum();
        match outcomes.into_iter().find_map(|(_, failure)| failure) {
            Some(failure) if images == 0 => Err(failure),
            _ => Ok(images),
        }
    }
}

impl StepTimes {
    pub(super) fn of(stats: &PipelineStats) -> Self {
        let time = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        Self {
            images: stats.samples,
            read: time(stats.read_ms),
            decode: time(stats.decode_ms),
            augment: time(stats.augment_ms),
        }
    }

    fn add(&mut self, read: Duration, decode: Duration, augment: Duration) {
        self.images += 1;
        self.read += read;
        self.decode += decode;
        self.augment += augment;
    }

    pub(super) fn micros(&self) -> StepMicros {
        let each = |time: Duration| 1e6 * time.as_secs_f64() / self.images.max(1) as f64;
        StepMicros { read: each(self.read), decode: each(self.decode), augment: each(self.augment) }
    }

    /// The step that takes longest: without a consumer there is nothing else to wait for.
    pub(super) fn bottleneck(&self) -> Bottleneck {
        let steps = [
            (self.read, Bottleneck::Read),
            (self.decode, Bottleneck::Decode),
            (self.augment, Bottleneck::Augment),
        ];
        steps.into_iter().max_by_key(|(time, _)| *time).map_or(Bottleneck::Decode, |(_, step)| step)
    }
}
