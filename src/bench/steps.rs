//! How many training steps a second the model makes, without a pipeline: the same made-up views each time.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dfdx::prelude::Backward;
use serde::Serialize;
use simsiam_model::arch::Arch;
use simsiam_model::backend::cpu::peak_gflop_per_s;
use simsiam_model::backend::cpu::profile::{self, OperationProfile};
use simsiam_model::backend::{Pixels, ViewBytes};
use simsiam_model::methods::{Measures, StepLoss};
use simsiam_model::network::Networks;
use simsiam_model::{LearningRates, Optimizer};

use super::Rates;
use crate::config::{Device, Precision, TrainConfig};
use crate::device::{Work, on_device};
use crate::process::Memory;

/// What was measured. Rates are medians over five windows; an image is all its views.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Images a second.
    pub images_per_s: f64,
    /// The slowest and the fastest window.
    pub images_per_s_range: (f64, f64),
    /// Steps a second.
    pub steps_per_s: f64,
    /// The encoder.
    pub arch: Arch,
    /// Where it ran.
    pub device: Device,
    /// How numbers were multiplied, if it was asked for.
    pub precision: Option<Precision>,
    /// Images a batch.
    pub batch_size: usize,
    /// Layers of the projector.
    pub projector_layers: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Resident memory of the program at the end, in MiB.
    pub rss_mib: Option<f64>,
    /// Billions of fused additions and multiplications in single precision a second that the threads could do at most; `None` without
    /// a profile.
    pub peak_gflop_per_s: Option<f64>,
    /// Where the time went, longest first; empty without a profile.
    pub operations: Vec<OperationRow>,
}

/// All calls of one operation with one shape.
#[derive(Debug, Serialize)]
pub struct OperationRow {
    /// Its name and sizes.
    pub operation: String,
    /// Share of the steps' time, 0 to 1.
    pub share: f64,
    /// Time of a call on average, in milliseconds.
    pub call_ms: f64,
    /// Billions of additions and multiplications a second, on average.
    pub gflop_per_s: f64,
    /// Billions of bytes a second that are read or written at the least, on average.
    pub gbyte_per_s: f64,
}

/// Trains on made-up images for about `seconds`, with the heads and optimiser of `config`.
///
/// # Errors
/// If the device fails.
pub fn steps(config: &TrainConfig, seconds: f64, with_profile: bool) -> Result<StepReport> {
    let arch = config.arch;
    if with_profile {
        profile::start();
    }
    let (rates, busy) = on_device(config.device, config.precision, Measurement { config, seconds })?;
    let memory = Memory::now();
    let operations = if with_profile { profile::stop() } else { Vec::new() };
    Ok(StepReport {
        images_per_s: rates.median(),
        images_per_s_range: rates.range(),
        steps_per_s: rates.median() / config.batch_size as f64,
        arch,
        device: config.device,
        precision: config.precision,
        batch_size: config.batch_size,
        projector_layers: config.projector_layers,
        threads: rayon::current_num_threads(),
        rss_mib: memory.map(|memory| memory.own_mib),
        peak_gflop_per_s: with_profile.then(peak_gflop_per_s),
        operations: operations.iter().map(|operation| row(operation, busy)).collect(),
    })
}

fn row(OperationProfile { operation, shape, totals }: &OperationProfile, busy: Duration) -> OperationRow {
    let seconds = totals.time.as_secs_f64();
    OperationRow {
        operation: format!("{operation} {shape}"),
        share: seconds / busy.as_secs_f64(),
        call_ms: 1e3 * seconds / totals.calls as f64,
        gflop_per_s: totals.flops / seconds / 1e9,
        gbyte_per_s: totals.bytes / seconds / 1e9,
    }
}

/// Training steps for so long.
struct Measurement<'a> {
    config: &'a TrainConfig,
    seconds: f64,
}

impl Work for Measurement<'_> {
    /// The rates, and the time of all steps, those to warm up included.
    type Output = (Rates, Duration);

    fn run<D: Networks>(self, dev: &D) -> Result<Self::Output> {
        let mut busy = Duration::ZERO;
        let mut step = stepper(dev, self.config);
        let rates = Rates::measure(self.seconds, || {
            let started = Instant::now();
            let images = step();
            busy += started.elapsed();
            images
        })?;
        Ok((rates, busy))
    }
}

/// Makes one step after the other; each gives the number of its images.
fn stepper<D: Networks>(dev: &D, config: &TrainConfig) -> impl FnMut() -> Result<u64> {
    let mut model = config.network(dev, config.batch_size, 1);
    let mut optimizer = Optimizer::new(config.optimizer_config());
    let mut gradients = Some(model.alloc_grads());
    let samples: Vec<usize> = (0..config.batch_size).collect();
    let levels = config.recipe.levels();
    let sizes = model.view_sizes();
    let view = |(number, size): (usize, &usize)| -> Vec<u8> {
        (0..config.batch_size * 3 * size * size).map(|i| (i * (7 + 2 * number) % 251) as u8).collect()
    };
    let views: Vec<_> = sizes.iter().enumerate().map(view).collect();
    let rates = LearningRates::all(config.base_lr as f32);
    let (mut steps, mut unread) = (0, Vec::new());
    move || {
        let failed = |error: D::Err| anyhow!("the device failed: {error}");
        let taken = gradients.take().expect("each step puts its gradients back");
        let views = views.iter().zip(&sizes).map(|(view, size)| ViewBytes::new(view, size * size)).collect();
        let sent = D::send(&Pixels::Bytes { views, levels: &levels }).map_err(failed)?;
        let StepLoss { loss, measures, .. } = model.loss(sent, &samples, taken);
        let mut grads = loss.backward();
        optimizer.update(&mut model, &mut grads, &rates).map_err(failed)?;
        model.zero_grads(&mut grads);
        steps += 1;
        model.end_step(steps, 0.5);
        gradients = Some(grads);
        unread.push(measures);
        // As often as a run does.
        if unread.len() as u64 >= config.log_every {
            Measures::read(&unread).map_err(failed)?;
            unread.clear();
        }
        Ok(samples.len() as u64)
    }
}

/// A few steps: after the first, memory is as it stays.
struct Trial<'a>(&'a TrainConfig);

impl Work for Trial<'_> {
    type Output = ();

    fn run<D: Networks>(self, dev: &D) -> Result<()> {
        let mut step = stepper(dev, self.0);
        for _ in 0..3 {
            step()?;
        }
        Ok(())
    }
}

/// The largest batch that trains, to about a sixteenth, from `config.batch_size` up; `None` if that is too large.
///
/// # Errors
/// If a trial fails for another reason than memory.
pub fn largest_batch(config: &TrainConfig) -> Result<Option<usize>> {
    largest(config.batch_size, |batch_size| {
        let config = TrainConfig { batch_size, ..config.clone() };
        match on_device(config.device, config.precision, Trial(&config)) {
            Ok(()) => Ok(true),
            Err(error) if is_out_of_memory(&error) => Ok(false),
            Err(error) => Err(error),
        }
    })
}

/// Doubles what fits until it does not, then halves the gap.
fn largest(first: usize, mut fits: impl FnMut(usize) -> Result<bool>) -> Result<Option<usize>> {
    if !fits(first)? {
        return Ok(None);
    }
    let mut fitting = first;
    while fits(2 * fitting)? {
        fitting *= 2;
    }
    let mut too_large = 2 * fitting;
    while too_large - fitting > (fitting / 16).max(1) {
        let middle = fitting.midpoint(too_large);
        *(if fits(middle)? { &mut fitting } else { &mut too_large }) = middle;
    }
    Ok(Some(fitting))
}

#[cfg(feature = "cuda")]
fn is_out_of_memory(error: &anyhow::Error) -> bool {
    use simsiam_model::backend::cuda::DeviceError;
    error.downcast_ref::<DeviceError>() == Some(&DeviceError::OutOfMemory)
}

#[cfg(not(feature = "cuda"))]
fn is_out_of_memory(_: &anyhow::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_that_fits_is_found() {
        let found = |first, most| largest(first, |batch| Ok(batch <= most)).unwrap();
        assert_eq!(found(64, 63), None);
        assert_eq!(found(2, 3), Some(3));
        for most in [64, 100, 1000, 4095, 4096] {
            let found = found(64, most).unwrap();
            assert!(found <= most && found + found / 16 >= most, "{found} of {most}");
        }
    }
}
