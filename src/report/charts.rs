//! What is drawn.

use crate::record::{Line, RunRecord};

/// A chart: a quantity over the steps.
pub(super) struct Chart {
    /// Names it in the page.
    pub(super) key: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// What a reader needs to know to read it.
    pub(super) hint: &'static str,
    /// Whether its values come at epochs' ends, and are drawn as points, too.
    pub(super) at_epochs: bool,
    /// Whether the page goes without it where no run has it, rather than to say so.
    pub(super) is_optional: bool,
    value: fn(&Line) -> Option<f64>,
}

/// All charts, in the page's order.
pub(super) const CHARTS: [Chart; 10] = [
    Chart {
        key: "loss",
        title: "Loss",
        hint: "mean since the log line before",
        at_epochs: false,
        is_optional: false,
        value: |line| line.loss,
    },
    Chart {
        key: "knn",
        title: "kNN top-1, %",
        hint: "on the encoder's features; step 0 is the untrained encoder",
        at_epochs: true,
        is_optional: false,
        value: |line| line.knn_top1,
    },
    Chart {
        key: "probe",
        title: "Online probe top-1, %",
        hint: "of a linear classifier trained beside the encoder, on the augmented batch before its update",
        at_epochs: false,
        is_optional: true,
        value: |line| line.probe_top1,
    },
    Chart {
        key: "std",
        title: "std of z/|z|, in 1/sqrt(d)",
        hint: "1: outputs spread evenly over the sphere; 0: all the same",
        at_epochs: false,
        is_optional: false,
        value: Line::relative_std,
    },
    Chart {
        key: "rank",
        title: "Effective rank of z/|z|",
        hint: "directions in which the outputs vary; 1: all on one line",
        at_epochs: false,
        is_optional: false,
        value: |line| line.z_rank,
    },
    Chart {
        key: "lr",
        title: "Learning rate",
        hint: "of encoder and projector",
        at_epochs: false,
        is_optional: false,
        value: |line| line.lr,
    },
    Chart {
        key: "predictor-lr",
        title: "Learning rate of the predictor",
        hint: "without effect where the method has no predictor",
        at_epochs: false,
        is_optional: false,
        value: |line| line.predictor_lr,
    },
    Chart {
        key: "speed",
        title: "Images/s",
        hint: "images, of two or more views each",
        at_epochs: false,
        is_optional: false,
        value: |line| line.images_per_s,
    },
    Chart {
        key: "wait",
        title: "Waiting for data, %",
        hint: "share of the time in which training waits for the loader",
        at_epochs: false,
        is_optional: false,
        value: |line| Some(100.0 * line.data_wait?),
    },
    Chart {
        key: "queue",
        title: "Queue of batches, % full",
        hint: "when training takes one; 0: training waits for the loader, 100: the loader is ahead",
        at_epochs: false,
        is_optional: false,
        value: |line| Some(100.0 * line.pipeline.as_ref()?.batches()?.fill()),
    },
];

impl Chart {
    /// Whether a page of these runs has it.
    pub(super) fn is_drawn(&self, runs: &[&RunRecord]) -> bool {
        !self.is_optional || runs.iter().any(|run| self.of(run).iter().any(|(_, value)| value.is_some()))
    }

    /// Steps and values of a run; `None` where the value is no number.
    pub(super) fn of(&self, run: &RunRecord) -> Vec<(u64, Option<f64>)> {
        let value = |line: &Line| (line.step, (self.value)(line));
        if self.at_epochs {
            run.metrics.epochs.iter().map(value).filter(|(_, value)| value.is_some()).collect()
        } else {
            run.metrics.steps.iter().map(value).collect()
        }
    }
}
