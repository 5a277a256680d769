//! What a run's `metrics.jsonl` says of it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::metrics::Health;

/// A run's curves and where they end.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// The run's seed.
    pub seed: u64,
    /// Whether there is nothing left to do: it has ended, has diverged, or stopped at its collapse.
    pub is_final: bool,
    /// Log lines.
    pub steps: Vec<StepPoint>,
    /// Evaluations: (epoch, kNN top-1 in percent); epoch 0 is the untrained encoder.
    pub knn: Vec<(u64, f64)>,
}

/// What a study needs of a log line.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct StepPoint {
    /// Steps done.
    pub step: u64,
    /// Mean loss; none if it was no number.
    pub loss: Option<f64>,
    /// Std of `z / |z|`.
    pub z_std: Option<f64>,
    /// `1 / sqrt(d)`.
    pub z_std_even: f64,
    /// Effective rank of `z / |z|`.
    pub z_rank: Option<f64>,
    /// The state.
    pub health: Health,
}

#[derive(Deserialize)]
struct EpochPoint {
    epoch: u64,
    knn_top1: Option<f64>,
}

impl RunResult {
    /// Reads the run in `dir`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let config: TrainConfig = toml::from_str(&read("config.toml")?)?;
        let (mut steps, mut knn, mut epochs): (Vec<StepPoint>, _, _) = (Vec::new(), Vec::new(), 0);
        for line in read("metrics.jsonl")?.lines() {
            if let Ok(step) = serde_json::from_str(line) {
                steps.push(step);
            } else {
                let EpochPoint { epoch, knn_top1 } = serde_json::from_str(line)?;
                knn.extend(knn_top1.map(|top1| (epoch, top1)));
                epochs = epoch;
            }
        }
        let diverged = steps.last().is_some_and(|point| point.health == Health::Diverged);
        Ok(Self { seed: config.seed, is_final: epochs == config.epochs || diverged, steps, knn })
    }

    /// Mean of a value over the last tenth of the log lines.
    fn at_end(&self, value: impl Fn(&StepPoint) -> Option<f64>) -> Option<f64> {
        let last = &self.steps[self.steps.len() - self.steps.len().div_ceil(10)..];
        let values: Vec<f64> = last.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The loss at the end.
    pub fn loss(&self) -> Option<f64> {
        self.at_end(|point| point.loss)
    }

    /// The std of `z / |z|` at the end, as a multiple of `1 / sqrt(d)`.
    pub fn relative_std(&self) -> Option<f64> {
        self.at_end(|point| point.z_std.map(|std| std / point.z_std_even))
    }

    /// The effective rank at the end.
    pub fn rank(&self) -> Option<f64> {
        self.at_end(|point| point.z_rank)
    }

    /// The state at the end.
    pub fn health(&self) -> Health {
        self.steps.last().map_or(Health::Healthy, |point| point.health)
    }

    /// kNN top-1 of the untrained encoder, at the end, and at best.
    pub fn knn_summary(&self) -> Option<[f64; 3]> {
        let [(_, first), .., (_, last)] = self.knn[..] else { return None };
        let best = self.knn[1..].iter().map(|(_, top1)| *top1).fold(f64::MIN, f64::max);
        Some([first, last, best])
    }
}
