//! What a run's `metrics.jsonl` says of it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::config::{OnCollapse, StopRule, TrainConfig};
use crate::health::Health;
use crate::run_dir::METRICS;

/// A run's curves and where they end.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    /// The run's seed.
    pub seed: u64,
    /// Whether there is nothing left to do: it has ended, has diverged, or stopped at its collapse or by a rule.
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
    stopped_by: Option<StopRule>,
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
        let (mut steps, mut knn): (Vec<StepPoint>, _) = (Vec::new(), Vec::new());
        let (mut epochs, mut is_stopped) = (0, false);
        for line in read(METRICS)?.lines() {
            if let Ok(step) = serde_json::from_str(line) {
                steps.push(step);
            } else {
                let EpochPoint { epoch, knn_top1, stopped_by } = serde_json::from_str(line)?;
                knn.extend(knn_top1.map(|top1| (epoch, top1)));
                (epochs, is_stopped) = (epoch, stopped_by.is_some());
            }
        }
        let has_stopped = match steps.last().map(|point| point.health) {
            Some(Health::Diverged) => true,
            Some(Health::Collapsed) => config.on_collapse == OnCollapse::Stop,
            _ => is_stopped,
        };
        Ok(Self { seed: config.seed, is_final: epochs == config.epochs || has_stopped, steps, knn })
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
    pub fn health(&self) -> Option<Health> {
        self.steps.last().map(|point| point.health)
    }

    /// kNN top-1 of the untrained encoder, at the end, and at best.
    pub fn knn_summary(&self) -> Option<[f64; 3]> {
        let [(_, first), .., (_, last)] = self.knn[..] else { return None };
        let best = self.knn[1..].iter().map(|(_, top1)| *top1).fold(f64::MIN, f64::max);
        Some([first, last, best])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    #[test]
    fn a_run_is_final_at_its_end_or_where_it_stopped() {
        let read = |on_collapse, health: &str, epoch: u64| {
            let dir = tempfile::tempdir().unwrap();
            let config = TrainConfig { epochs: 3, on_collapse, ..TrainConfig::preset(Preset::Demo) };
            std::fs::write(dir.path().join("config.toml"), config.to_string()).unwrap();
            let metrics = format!(
                "{{\"step\":9,\"loss\":null,\"z_std\":0.1,\"z_std_even\":0.2,\"z_rank\":1.0,\"health\":\"{health}\"}}\n\
                 {{\"step\":9,\"epoch\":{epoch},\"knn_top1\":31.5}}\n"
            );
            std::fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
            RunResult::read(dir.path()).unwrap()
        };
        assert!(read(OnCollapse::Warn, "healthy", 3).is_final);
        assert!(!read(OnCollapse::Warn, "collapsed", 1).is_final);
        assert!(read(OnCollapse::Stop, "collapsed", 1).is_final);
        let diverged = read(OnCollapse::Warn, "diverged", 1);
        assert!(diverged.is_final && diverged.loss().is_none());
        assert_eq!(diverged.knn, [(1, 31.5)]);
    }
}
