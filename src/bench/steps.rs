//! How many training steps a second the model makes, without a pipeline: the same two made-up views each time.

use anyhow::Result;
use dfdx::prelude::*;
use serde::Serialize;
use simsiam_model::backend::cpu::profile::{self, OperationProfile};
use simsiam_model::{LearningRates, Sgd, SgdConfig};

use super::Rates;
use crate::arch::Arch;
use crate::config::TrainConfig;
use crate::network;
use crate::process::Memory;

/// What was measured. Rates are medians over five windows, an image is two views.
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
    /// Images a batch.
    pub batch_size: usize,
    /// Layers of the projector.
    pub projector_layers: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Resident memory of the program at the end, in MiB.
    pub rss_mib: Option<f64>,
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
    let (rates, steps) = measure(config, seconds)?;
    let memory = Memory::now();
    let operations = if with_profile { profile::stop() } else { Vec::new() };
    let total: f64 = config.batch_size as f64 * steps as f64 / rates.median();
    Ok(StepReport {
        images_per_s: rates.median(),
        images_per_s_range: rates.range(),
        steps_per_s: rates.median() / config.batch_size as f64,
        arch,
        batch_size: config.batch_size,
        projector_layers: config.projector_layers,
        threads: rayon::current_num_threads(),
        rss_mib: memory.map(|memory| memory.own_mib),
        operations: operations.iter().map(|operation| row(operation, total)).collect(),
    })
}

fn row(OperationProfile { operation, shape, totals }: &OperationProfile, total: f64) -> OperationRow {
    let seconds = totals.time.as_secs_f64();
    OperationRow {
        operation: format!("{operation} {shape}"),
        share: seconds / total,
        call_ms: 1e3 * seconds / totals.calls as f64,
        gflop_per_s: totals.flops / seconds / 1e9,
        gbyte_per_s: totals.bytes / seconds / 1e9,
    }
}

/// The rates, and the number of steps in all.
fn measure(config: &TrainConfig, seconds: f64) -> Result<(Rates, u64)> {
    let mut model = network::build(&Cpu::default(), config, config.batch_size, 1);
    let sgd = SgdConfig { momentum: config.momentum as f32, weight_decay: config.weight_decay as f32 };
    let mut optimizer = Sgd::new(sgd);
    let mut gradients = Some(model.alloc_grads());
    let samples: Vec<usize> = (0..config.batch_size).collect();
    let values = config.batch_size * 3 * config.arch.size().pow(2);
    let pixels: Vec<Vec<f32>> = (0..model.views())
        .map(|view| (0..values).map(|i| (i as f32 * (0.11 + 0.02 * view as f32)).sin()).collect())
        .collect();
    let views: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
    let rates = LearningRates::all(config.base_lr as f32);
    let mut steps = 0;
    let measured = Rates::measure(seconds, || {
        let taken = gradients.take().expect("each step puts its gradients back");
        let mut grads = model.loss(&views, &samples, taken).loss.backward();
        optimizer.update(model.as_mut(), &mut grads, &rates)?;
        model.zero_grads(&mut grads);
        steps += 1;
        model.end_step(steps, 0.5);
        gradients = Some(grads);
        Ok(config.batch_size as u64)
    })?;
    Ok((measured, steps))
}
