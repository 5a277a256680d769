//! How far a run has come, and whether it is going on.

use std::fmt;
use std::path::Path;

use crate::config::StopRule;
use crate::health::Health;
use crate::run_dir::RunDir;

use super::{RecordedMetrics, Settings};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// A process holds the folder's lock.
    Going,
    /// All epochs are done.
    Finished {
        /// The last step.
        step: u64,
    },
    /// A rule ended it before its last epoch.
    EndedBy {
        /// The rule.
        rule: StopRule,
        /// The last step.
        step: u64,
    },
    /// Loss or outputs became no numbers.
    Diverged {
        /// The last logged step.
        step: u64,
    },
    /// It was interrupted or killed, or ended on a collapse.
    Stopped {
        /// The last logged step.
        step: u64,
    },
    /// Nothing was logged.
    NotBegun,
}

impl Standing {
    pub(super) fn of(run: &Path, settings: &Settings, metrics: &RecordedMetrics) -> Self {
        if RunDir::is_locked(run) {
            return Self::Going;
        }
        let Some(step) = metrics.last_step() else { return Self::NotBegun };
        let epochs: Option<u64> = settings.get("epochs").and_then(|epochs| epochs.parse().ok());
        let last = metrics.epochs.last();
        if let Some(rule) = last.filter(|line| line.step == step).and_then(|line| line.stopped_by) {
            Self::EndedBy { rule, step }
        } else if last.is_some_and(|line| epochs.is_some_and(|epochs| line.epoch >= epochs)) {
            Self::Finished { step }
        } else if metrics.steps.last().is_some_and(|line| line.health == Some(Health::Diverged)) {
            Self::Diverged { step }
        } else {
            Self::Stopped { step }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Going => write!(f, "going"),
            Self::Finished { .. } => write!(f, "finished"),
            Self::EndedBy { rule, step } => write!(f, "ended at step {step} by `{rule}`"),
            Self::Diverged { step } => write!(f, "diverged at step {step}"),
            Self::Stopped { step } => write!(f, "stopped at step {step}"),
            Self::NotBegun => write!(f, "nothing logged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_tell_how_a_run_ended() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("metrics.jsonl");
        let standing = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let metrics = RecordedMetrics::read(&file).unwrap();
            Standing::of(dir.path(), &"epochs = 2".parse().unwrap(), &metrics).to_string()
        };
        assert_eq!(standing("{\"step\":5,\"epoch\":1}\n"), "stopped at step 5");
        assert_eq!(standing("{\"step\":9,\"epoch\":2}\n"), "finished");
        let diverged = "{\"step\":4,\"epoch\":1,\"loss\":null,\"health\":\"diverged\"}\n";
        assert_eq!(standing(diverged), "diverged at step 4");
        let stopped = "{\"step\":5,\"epoch\":1,\"knn_top1\":60.0,\"stopped_by\":\"knn>=55\"}\n";
        assert_eq!(standing(stopped), "ended at step 5 by `knn>=55`");
        assert_eq!(standing(""), "nothing logged");
    }
}
