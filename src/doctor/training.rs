use anyhow::{Result, anyhow};
use dfdx::prelude::*;
use simsiam_model::backend::{Pixels, cpu};
use simsiam_model::network::Networks;
use simsiam_model::{LearningRates, Optimizer};

use super::noise;
use crate::config::TrainConfig;

/// The losses of the same steps, made on two devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// On the device.
    pub device: Vec<f64>,
    /// On the CPU.
    pub cpu: Vec<f64>,
}

/// Trains the same network on the same made-up images on both.
pub(super) fn losses<D: Networks>(dev: &D, config: &TrainConfig, steps: usize) -> Result<Losses> {
    let device = train(dev, config, steps)?;
    let cpu = cpu::in_precision(cpu::Precision::F32, |cpu| train(cpu, config, steps))?;
    Ok(Losses { device, cpu })
}

/// As the training loop does, on new images each step.
fn train<D: Networks>(dev: &D, config: &TrainConfig, steps: usize) -> Result<Vec<f64>> {
    let failed = |error: D::Err| anyhow!("the device failed: {error}");
    let mut model = config.network(dev, config.batch_size, steps as u64);
    let mut optimizer = Optimizer::new(config.optimizer_config());
    let rates = LearningRates::all((config.base_lr * config.batch_size as f64 / 256.0) as f32);
    let samples: Vec<usize> = (0..config.batch_size).collect();
    let sizes = model.view_sizes();
    let mut gradients = model.alloc_grads();
    let mut losses = Vec::new();
    for step in 0..steps {
        let view = |(number, size): (usize, &usize)| {
            let stream = (step * sizes.len() + number) as u64;
            noise(config.seed, stream, config.batch_size * 3 * size * size)
        };
        let views: Vec<_> = sizes.iter().enumerate().map(view).collect();
        let views = Pixels::Values(views.iter().map(Vec::as_slice).collect());
        let of_step = model.loss(D::send(&views).map_err(failed)?, &samples, gradients);
        losses.push(of_step.measured().map_err(failed)?.loss);
        gradients = of_step.loss.backward();
        optimizer.update(&mut model, &mut gradients, &rates).map_err(failed)?;
        model.zero_grads(&mut gradients);
        model.end_step(step as u64 + 1, (step + 1) as f64 / steps as f64);
    }
    Ok(losses)
}
