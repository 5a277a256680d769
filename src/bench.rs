//! How many images a second the loader gives, or the model learns from, and what holds them back. An image is decoded
//! once and gives all its views.

mod rates;
mod steps;
mod workers;

pub use rates::Rates;
pub use steps::{OperationRow, StepReport, largest_batch, steps};

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use simsiam_pipeline::augment::ViewGroup;
use simsiam_pipeline::stats::{PipelineStats, QueueStats};
use simsiam_pipeline::{OnBadSample, PipelineConfig, Quarantine, ShardSet};

use crate::process::{self, Memory};
use workers::{StepTimes, Workers};

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Reading and decoding whole images
    Decode,
    /// Reading, decoding and augmentation, on threads without the pipeline
    Views,
    /// The whole pipeline, up to the batches that training receives
    Batches,
    /// Training steps on synthetic batches, without a pipeline
    Train,
}

/// What was measured. Rates are medians over five windows; an image is all its views.
#[derive(Debug, Serialize)]
pub struct LoaderReport {
    /// Images a second out of the stage that was asked for.
    pub images_per_s: f64,
    /// The slowest and the fastest window.
    pub images_per_s_range: (f64, f64),
    /// Images a second when they are only decoded, whole, by the same number of threads.
    pub decode_only_images_per_s: f64,
    /// The slowest and the fastest window.
    pub decode_only_images_per_s_range: (f64, f64),
    /// What was measured.
    pub stage: Stage,
    /// Decoding threads.
    pub workers: usize,
    /// Images a batch.
    pub batch_size: usize,
    /// The views of an image.
    pub views: Vec<ViewGroup>,
    /// Number of samples in the shards.
    pub samples: u64,
    /// Time a worker spends on an image in each step, in microseconds.
    pub step_us: StepMicros,
    /// The pipeline's queues, source to sink; empty for the other stages.
    pub queues: Vec<QueueStats>,
    /// What limits the rate.
    pub bottleneck: String,
    /// Processor time over wall-clock time: the number of cores that were busy.
    pub cores_busy: f64,
    /// The program's own resident memory at the end of the measurement, in MiB; the pages of mapped shards, which the system
    /// takes back when it wants them, are not in it.
    pub rss_mib: Option<f64>,
    /// Resident pages of mapped files, in MiB.
    pub mapped_mib: Option<f64>,
}

/// Microseconds of a worker's time for one image.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StepMicros {
    /// Page faults and checksum.
    pub read: f64,
    /// Decoding what the views need.
    pub decode: f64,
    /// All views.
    pub augment: f64,
}

/// Measures for about `seconds`, a third of them on decoding alone.
///
/// # Errors
/// If no sample can be used, or more are bad than a pipeline allows, or it cannot be started.
pub fn loader(
    shards: &Arc<ShardSet>,
    config: &PipelineConfig,
    stage: Stage,
    seconds: f64,
) -> Result<LoaderReport> {
    let mut workers = Workers::new(shards, config)?;
    let decode_seconds = if stage == Stage::Decode { seconds } else { seconds / 3.0 };
    let busy_since = process::CpuClock::start();
    let decode_only = Rates::measure(decode_seconds, || workers.decode())?;
    let mut measured = Measured {
        rates: decode_only.clone(),
        cores_busy: busy_since.cores_busy(),
        times: workers.take_times(),
        memory: Memory::now(),
        stats: None,
    };
    let rest = seconds - decode_seconds;
    match stage {
        Stage::Decode | Stage::Train => {}
        Stage::Views => {
            let busy_since = process::CpuClock::start();
            measured.rates = Rates::measure(rest, || workers.views())?;
            measured.cores_busy = busy_since.cores_busy();
            measured.times = workers.take_times();
            measured.memory = Memory::now();
        }
        Stage::Batches => {
            drop(workers); // whose memory is not the pipeline's
            measured = whole_pipeline(shards, config, rest)?;
        }
    }
    Ok(measured.report(shards, config, stage, &decode_only))
}

fn whole_pipeline(shards: &Arc<ShardSet>, config: &PipelineConfig, seconds: f64) -> Result<Measured> {
    let samples = config.part.len(config.population(shards).len());
    let quarantine = Arc::new(Quarantine::new(OnBadSample::default(), samples));
    let mut batches = simsiam_pipeline::start(shards.clone(), quarantine, config)?;
    let busy_since = process::CpuClock::start();
    let rates = Rates::measure(seconds, || {
        let batch = batches.next().context("the pipeline ended")??;
        Ok(batch.len() as u64)
    })?;
    let stats = batches.stats();
    Ok(Measured {
        rates,
        cores_busy: busy_since.cores_busy(),
        times: StepTimes::of(&stats),
        memory: Memory::now(),
        stats: Some(stats),
    })
}

struct Measured {
    rates: Rates,
    cores_busy: f64,
    times: StepTimes,
    memory: Option<Memory>,
    stats: Option<PipelineStats>,
}

impl Measured {
    fn report(
        self,
        shards: &ShardSet,
        config: &PipelineConfig,
        stage: Stage,
        decode_only: &Rates,
    ) -> LoaderReport {
        let bottleneck = match &self.stats {
            Some(stats) => stats.bottleneck(),
            None => self.times.bottleneck(),
        };
        LoaderReport {
            images_per_s: self.rates.median(),
            images_per_s_range: self.rates.range(),
            decode_only_images_per_s: decode_only.median(),
            decode_only_images_per_s_range: decode_only.range(),
            stage,
            workers: config.workers,
            batch_size: config.batch_size,
            views: config.groups(),
            samples: config.part.len(config.population(shards).len()),
            step_us: self.times.micros(),
            queues: self.stats.map(|stats| stats.queues).unwrap_or_default(),
            bottleneck: bottleneck.to_string(),
            cores_busy: self.cores_busy,
            rss_mib: self.memory.map(|memory| memory.own_mib),
            mapped_mib: self.memory.map(|memory| memory.mapped_mib),
        }
    }
}
