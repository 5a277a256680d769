//! What a run's `metrics.jsonl` says of it.

use std::path::Path;

use anyhow::Result;

use crate::config::OnCollapse;
use crate::health::Health;
use crate::record::{Line, RecordedMetrics};
use crate::run_dir::{METRICS, saved_config};

/// A run's curves and where they end.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// The run's seed.
    pub seed: u64,
    /// Whether there is nothing left to do: it has ended, has diverged, or stopped at its collapse or by a rule.
    pub is_final: bool,
    /// Log lines.
    pub steps: Vec<Line>,
    /// Evaluations: (epoch, kNN top-1 in percent); epoch 0 is the untrained encoder.
    pub knn: Vec<(u64, f64)>,
}

impl RunResult {
    /// Reads the run in `dir`.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let config = saved_config(dir)?;
        let RecordedMetrics { steps, epochs, .. } = RecordedMetrics::read(&dir.join(METRICS))?;
        let has_ended =
            epochs.last().is_some_and(|end| end.epoch == config.epochs || end.stopped_by.is_some());
        let has_stopped = match steps.last().and_then(|line| line.health) {
            Some(Health::Diverged) => true,
            Some(Health::Collapsed) => config.on_collapse == OnCollapse::Stop,
            _ => false,
        };
        let knn = epochs.iter().filter_map(|end| Some((end.epoch, end.knn_top1?))).collect();
        Ok(Self { seed: config.seed, is_final: has_ended || has_stopped, steps, knn })
    }

    /// Mean of a value over the last tenth of the log lines.
    fn at_end(&self, value: impl Fn(&Line) -> Option<f64>) -> Option<f64> {
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
        self.at_end(Line::relative_std)
    }

    /// The effective rank at the end.
    pub fn rank(&self) -> Option<f64> {
        self.at_end(|point| point.z_rank)
    }

    /// The state at the end.
    pub fn health(&self) -> Option<Health> {
        self.steps.last()?.health
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
    use crate::config::{Preset, TrainConfig};

    fn read_metrics(on_collapse: OnCollapse, metrics: &str) -> RunResult {
        let dir = tempfile::tempdir().unwrap();
        let config = TrainConfig { epochs: 3, on_collapse, ..TrainConfig::preset(Preset::Demo) };
        std::fs::write(dir.path().join("config.toml"), config.to_string()).unwrap();
        std::fs::write(dir.path().join(METRICS), metrics).unwrap();
        RunResult::read(dir.path()).unwrap()
    }

    #[test]
    fn a_run_is_final_at_its_end_or_where_it_stopped() {
        let read = |on_collapse, health: &str, epoch: u64| {
            let metrics = format!(
                "{{\"step\":9,\"loss\":null,\"z_std\":0.1,\"z_std_even\":0.2,\"z_rank\":1.0,\"health\":\"{health}\"}}\n\
                 {{\"step\":9,\"epoch\":{epoch},\"knn_top1\":31.5}}\n"
            );
            read_metrics(on_collapse, &metrics)
        };
        assert!(read(OnCollapse::Warn, "healthy", 3).is_final);
        assert!(!read(OnCollapse::Warn, "collapsed", 1).is_final);
        assert!(read(OnCollapse::Stop, "collapsed", 1).is_final);
        let diverged = read(OnCollapse::Warn, "diverged", 1);
        assert!(diverged.is_final && diverged.loss().is_none());
        assert_eq!(diverged.knn, [(1, 31.5)]);
        let in_evaluation = read_metrics(
            OnCollapse::Warn,
            "{\"step\":9,\"epoch\":1,\"loss\":-0.5,\"health\":\"healthy\"}\n{\"step\":9,\"epoch\":1,\"health\":\"diverged\"}\n",
        );
        assert!(in_evaluation.is_final && in_evaluation.health() == Some(Health::Diverged));
    }
}
