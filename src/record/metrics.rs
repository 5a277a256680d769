//! `metrics.jsonl`, read back.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::config::StopRule;
use crate::health::Health;
use crate::metrics::PipelineMetrics;

/// A line, of a log step or of an epoch's end. What it does not have, or is not finite, is `None`; the fields are those of
/// [`StepMetrics`](crate::metrics::StepMetrics) and [`EpochMetrics`](crate::metrics::EpochMetrics).
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "they are explained where they are written")]
pub struct Line {
    pub step: u64,
    #[serde(default)]
    pub epoch: u64,
    pub loss: Option<f64>,
    pub z_std: Option<f64>,
    pub z_std_even: Option<f64>,
    pub z_rank: Option<f64>,
    pub health: Option<Health>,
    pub lr: Option<f64>,
    pub predictor_lr: Option<f64>,
    pub images_per_s: Option<f64>,
    pub data_wait: Option<f64>,
    pub pipeline: Option<PipelineMetrics>,
    pub knn_top1: Option<f64>,
    pub probe_top1: Option<f64>,
    pub stopped_by: Option<StopRule>,
}

impl Line {
    /// The std of `z / |z|` as a multiple of `1 / sqrt(d)`.
    pub fn relative_std(&self) -> Option<f64> {
        Some(self.z_std? / self.z_std_even?)
    }
}

/// All lines that can be read.
#[derive(Debug, Default)]
pub struct RecordedMetrics {
    /// Of log steps, in order.
    pub steps: Vec<Line>,
    /// Of epochs' ends, in order; the first may be that of the untrained encoder, at step 0.
    pub epochs: Vec<Line>,
    /// Whether there is no file.
    is_missing: bool,
    /// Whole lines that cannot be read.
    unreadable: usize,
    /// Whether the last line has no end.
    is_cut_off: bool,
}

/// The verdict became another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerdictChange {
    /// The first logged step with it.
    pub step: u64,
    /// What it became.
    pub health: Health,
}

impl RecordedMetrics {
    /// Reads the file, which may not be there, and may be written to.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Self { is_missing: true, ..Self::default() })
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn parse(text: &[u8]) -> Self {
        let mut metrics =
            Self { is_cut_off: text.last().is_some_and(|last| *last != b'\n'), ..Self::default() };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                // Every log step has a verdict, and no epoch's end.
                Ok(line) if line.health.is_some() => metrics.steps.push(line),
                Ok(line) => metrics.epochs.push(line),
                Err(_) => metrics.unreadable += 1,
            }
        }
        for lines in [&mut metrics.steps, &mut metrics.epochs] {
            lines.sort_by_key(|line| line.step);
        }
        metrics
    }

    /// The last step that any line tells of.
    pub fn last_step(&self) -> Option<u64> {
        self.steps.last().into_iter().chain(self.epochs.last()).map(|line| line.step).max()
    }

    /// The first verdict, and each time that it became another.
    pub fn verdicts(&self) -> Vec<VerdictChange> {
        let mut changes: Vec<VerdictChange> = Vec::new();
        for line in &self.steps {
            let Some(health) = line.health else { continue };
            if changes.last().is_none_or(|last| last.health != health) {
                changes.push(VerdictChange { step: line.step, health });
            }
        }
        changes
    }

    /// What is missing in them. The last line of a run that is going on may be half written, which is no fault.
    pub(super) fn notes(&self, is_going: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if self.is_missing {
            notes.push("no metrics.jsonl: nothing was logged yet".to_owned());
        } else if self.steps.is_empty() {
            notes.push(
                "no log step yet (--log-every sets how often): the charts of steps are without it".to_owned(),
            );
        }
        if !self.is_missing && self.epochs.iter().all(|line| line.knn_top1.is_none()) {
            notes.push("no kNN accuracy: it was not evaluated, or not yet".to_owned());
        }
        if self.is_cut_off && !is_going {
            notes.push("metrics.jsonl ends in the middle of a line, which is left out".to_owned());
        }
        match self.unreadable {
            0 => {}
            1 => notes.push("1 line of metrics.jsonl cannot be read, and is left out".to_owned()),
            many => notes.push(format!("{many} lines of metrics.jsonl cannot be read, and are left out")),
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, health: &str) -> String {
        format!("{{\"step\":{step},\"epoch\":1,\"loss\":-0.5,\"health\":\"{health}\"}}\n")
    }

    #[test]
    fn a_verdict_is_told_when_it_changes() {
        let text: String =
            [(1, "healthy"), (2, "healthy"), (3, "collapsed"), (4, "collapsed"), (5, "healthy")]
                .map(|(at, health)| step(at, health))
                .concat();
        let changes = RecordedMetrics::parse(text.as_bytes()).verdicts();
        let expected = [(1, Health::Healthy), (3, Health::Collapsed), (5, Health::Healthy)];
        assert_eq!(changes, expected.map(|(step, health)| VerdictChange { step, health }));
    }

    #[test]
    fn half_a_line_and_a_line_that_is_none_are_left_out_and_named() {
        let text = format!("{}nonsense\n{{\"step\":2,\"ep", step(1, "healthy"));
        let metrics = RecordedMetrics::parse(text.as_bytes());
        assert_eq!((metrics.steps.len(), metrics.last_step()), (1, Some(1)));
        let notes = metrics.notes(false);
        assert!(notes.contains(&"metrics.jsonl ends in the middle of a line, which is left out".to_owned()));
        assert!(notes.contains(&"1 line of metrics.jsonl cannot be read, and is left out".to_owned()));
        assert!(metrics.notes(true).iter().all(|note| !note.contains("middle")));
    }

    #[test]
    fn a_loss_that_is_no_number_is_none() {
        let metrics =
            RecordedMetrics::parse(b"{\"step\":7,\"epoch\":1,\"loss\":null,\"health\":\"diverged\"}\n");
        assert_eq!((metrics.steps[0].loss, metrics.steps[0].health), (None, Some(Health::Diverged)));
    }
}
