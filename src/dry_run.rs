//! `simsiam train --dry-run`: a few real steps in a temporary folder, and what the whole run would take by them.

use std::fmt;
use std::time::Instant;

use anyhow::{Context, Result};
use simsiam_model::network::{Network, Networks};
use simsiam_pipeline::available_memory;

use crate::config::TrainConfig;
use crate::console::{Console, LogFormat, Phase, Verbosity, counted, duration, per_second, thousands};
use crate::data::{Data, KnnData};
use crate::device::Work;
use crate::evaluate::features::Extractor;
use crate::evaluate::frozen::FrozenEncoder;
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online_probe::OnlineProbe;
use crate::process::Memory;
use crate::progress::{Counters, Progress};
use crate::provenance::Provenance;
use crate::record::RunRecord;
use crate::run_dir::RunDir;
use crate::train::{Run, train};
use crate::world::World;

/// Steps that are made. The first makes buffers and waits for the first batch, so the others are timed.
const STEPS: u64 = 6;
/// Images that are encoded, to time an evaluation.
const ENCODED: u64 = 256;
/// Bytes of a line in `metrics.jsonl`, roughly.
const METRICS_LINE: u64 = 400;

/// A few steps of a run.
pub struct Trial {
    /// The run's configuration, with the shards as they can be opened from the current folder.
    pub config: TrainConfig,
    /// The opened shards.
    pub data: Data,
    /// Ends it.
    pub interrupt: Interrupt,
}

/// What a run would take. [`Display`](fmt::Display) for a terminal.
pub struct Plan {
    summary: String,
    images: u64,
    steps_per_epoch: u64,
    steps: u64,
    steps_tried: u64,
    step_s: f64,
    images_per_s: f64,
    evaluations: u64,
    evaluation_s: f64,
    /// Resident memory of the trial.
    memory: Option<Memory>,
    /// What an evaluation keeps in memory.
    features_mib: f64,
    available: Option<u64>,
    checkpoint_bytes: u64,
    model_bytes: u64,
    checkpoints_kept: u64,
    metrics_bytes: u64,
}

impl Work for Trial {
    type Output = Plan;

    fn run<D: Networks>(self, dev: &D) -> Result<Plan> {
        let Self { config, mut data, interrupt } = self;
        data.check_memory(&config, Feed::<D>::DTYPE)?;
        OnlineProbe::check_labels(&config, &data.train)?;
        let steps_per_epoch = data.steps_per_epoch(&config)?;
        let (images, knn) = (data.train.len(), data.knn.take());
        let evaluations = knn.as_ref().map_or(0, |_| 1 + config.evaluations());
        let steps = config.epochs * steps_per_epoch;

        let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
        let dir = RunDir::create(temporary.path())?;
        let tried = TrainConfig { log_every: 1, keep_checkpoints: 1, ..config.clone() };
        dir.write_config(&tried)?;
        let silent = Console::new(LogFormat::Text, Verbosity::Quiet);
        let progress = Progress::new(silent, &dir, &tried, steps_per_epoch, Counters::default())?;
        let mut model = tried.network(dev, data.train.shards.len() as usize, steps_per_epoch);
        let mut run = Run {
            config: tried,
            data,
            dir,
            interrupt: interrupt.clone(),
            progress,
            provenance: Provenance::now(),
            world: World::default(),
            stop_after: Some(steps.min(STEPS)),
        };
        train(&mut model, &mut run, None)?;
        interrupt.check()?;
        let evaluation_s = match &knn {
            Some(knn) => encoding_s(&model, knn, &config, &interrupt)?,
            None => 0.0,
        };
        let features =
            knn.as_ref().map_or(0, |knn| (knn.bank.len() + knn.queries.len()) * model.features() as u64);

        let record = RunRecord::read(temporary.path())?;
        // Fewer, where its outputs collapsed at once.
        let steps_tried = run.progress.step();
        let sizes = run.dir.checkpoints().file_sizes(steps_tried)?;
        let rates: Vec<f64> =
            record.metrics.steps.iter().skip(1).filter_map(|line| line.images_per_s).collect();
        let images_per_s = median(rates).or(record.images_per_s()).context("no step was timed")?;
        Ok(Plan {
            summary: config.summary(),
            images,
            steps_per_epoch,
            steps,
            steps_tried,
            step_s: config.images_per_step() / images_per_s,
            images_per_s,
            evaluations,
            evaluation_s,
            memory: Memory::now(),
            features_mib: 4.0 * features as f64 / f64::from(1 << 20),
            available: available_memory(),
            checkpoint_bytes: sizes.all,
            model_bytes: sizes.model,
            checkpoints_kept: config.keep_checkpoints as u64,
            metrics_bytes: (steps / config.log_every + config.epochs) * METRICS_LINE,
        })
    }
}

/// Seconds that an evaluation takes to encode its images, by some of them. The votes come on top, and take less.
fn encoding_s<D: Networks>(
    model: &Network<D>,
    knn: &KnnData,
    config: &TrainConfig,
    interrupt: &Interrupt,
) -> Result<f64> {
    let encoder = &FrozenEncoder::new(model.features(), |images| model.encode(images));
    let extractor = Extractor { encoder, recipe: &config.recipe, workers: config.workers.count(), interrupt };
    let some = knn.bank.some(ENCODED);
    let started = Instant::now();
    extractor.collect(&some, &Phase::hidden())?;
    let images = knn.bank.len() + knn.queries.len();
    Ok(started.elapsed().as_secs_f64() * images as f64 / some.len() as f64)
}

fn median(mut rates: Vec<f64>) -> Option<f64> {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

impl Plan {
    fn seconds(&self) -> f64 {
        self.steps as f64 * self.step_s + self.evaluations as f64 * self.evaluation_s
    }

    /// The checkpoints that are kept, the best one's model, another checkpoint while it is written, and the metrics.
    fn disk_bytes(&self) -> u64 {
        (self.checkpoints_kept + 1) * self.checkpoint_bytes + self.model_bytes + self.metrics_bytes
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let (images, steps) = (counted(self.images, "image"), thousands(self.steps));
        writeln!(f, "run     {}", self.summary)?;
        writeln!(f, "data    {images} to train on, {} an epoch", counted(self.steps_per_epoch, "step"))?;
        let rate = per_second(self.images_per_s);
        let tried = counted(self.steps_tried, "step");
        writeln!(f, "steps   {steps} of {:.3} s, {rate} images/s (measured in {tried})", self.step_s)?;
        write!(f, "time    about {}", duration(self.seconds()))?;
        if self.evaluations > 0 {
            let (count, each) = (counted(self.evaluations, "kNN evaluation"), duration(self.evaluation_s));
            write!(f, ", with {count} of {each}")?;
        }
        if let Some(memory) = self.memory {
            let needed = memory.own_mib + self.features_mib;
            write!(f, "\nmemory  about {needed:.0} MiB")?;
            if let Some(available) = self.available {
                write!(f, "; {} MiB are available", thousands(available >> 20))?;
            }
        }
        let (all, one, kept) = (mb(self.disk_bytes()), mb(self.checkpoint_bytes), self.checkpoints_kept);
        write!(
            f,
            "\ndisk    at most {all:.1} MB: {kept} + 1 checkpoints of {one:.1} MB, the best model, metrics"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_disk_add_up() {
        let plan = Plan {
            summary: "simsiam".into(),
            images: 45_000,
            steps_per_epoch: 87,
            steps: 870,
            steps_tried: 6,
            step_s: 2.0,
            images_per_s: 256.0,
            evaluations: 11,
            evaluation_s: 60.0,
            memory: Some(Memory { own_mib: 500.0, mapped_mib: 10.0 }),
            features_mib: 100.0,
            available: Some(2 << 30),
            checkpoint_bytes: 90_000_000,
            model_bytes: 45_000_000,
            checkpoints_kept: 1,
            metrics_bytes: 100_000,
        };
        assert_eq!(
            plan.to_string(),
            "run     simsiam\n\
             data    45,000 images to train on, 87 steps an epoch\n\
             steps   870 of 2.000 s, 256 images/s (measured in 6 steps)\n\
             time    about 40 min 00 s, with 11 kNN evaluations of 1 min 00 s\n\
             memory  about 600 MiB; 2,048 MiB are available\n\
             disk    at most 225.1 MB: 1 + 1 checkpoints of 90.0 MB, the best model, metrics"
        );
    }
}
