//! The list of runs.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::text::{bytes, minute, table};
use crate::files::as_text;
use crate::health::Health;
use crate::record::RunRecord;

/// A list of runs: [`Display`](fmt::Display) for a terminal, [`Serialize`] for programs.
#[derive(Serialize)]
#[serde(transparent)]
pub struct RunList(Vec<Entry>);

/// What is listed of a run.
#[derive(Serialize)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(serialize_with = "as_text")]
    path: PathBuf,
    pub(super) state: String,
    step: Option<u64>,
    method: Option<String>,
    arch: Option<String>,
    epochs: Option<u64>,
    /// The last epoch that is done.
    epochs_done: Option<u64>,
    pub(super) best_knn_top1: Option<f64>,
    pub(super) best_knn_step: Option<u64>,
    pub(super) untrained_knn_top1: Option<f64>,
    pub(super) last_loss: Option<f64>,
    pub(super) images_per_s: Option<f64>,
    pub(super) verdict: Option<Health>,
    /// UTC.
    last_written: Option<String>,
    bytes: u64,
    notes: Vec<String>,
}

impl Entry {
    pub(super) fn of(run: &RunRecord) -> Self {
        let setting = |key| run.settings.get(key).map(str::to_owned);
        let (best_knn_top1, best_knn_step) = run.best_knn().unzip();
        Self {
            name: run.name.clone(),
            path: run.path.clone(),
            state: run.standing.to_string(),
            step: run.metrics.last_step(),
            method: setting("method"),
            arch: setting("arch"),
            epochs: setting("epochs").and_then(|epochs| epochs.parse().ok()),
            epochs_done: run.metrics.epochs.last().map(|line| line.epoch),
            best_knn_top1,
            best_knn_step,
            untrained_knn_top1: run.untrained_knn(),
            last_loss: run.last_loss(),
            images_per_s: run.images_per_s(),
            verdict: run.verdict(),
            last_written: run.last_written.and_then(minute),
            bytes: run.bytes,
            notes: run.notes.clone(),
        }
    }

    /// What a reader must know, a line for each.
    pub(super) fn write_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{}: {note}", self.name))
    }

    fn row(&self) -> Vec<String> {
        let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
        let number = |number: Option<u64>| number.map_or_else(|| "–".into(), |number| number.to_string());
        vec![
            self.name.clone(),
            self.state.clone(),
            known(&self.method),
            known(&self.arch),
            format!("{}/{}", self.epochs_done.unwrap_or(0), number(self.epochs)),
            self.best_knn_top1.map_or_else(|| "–".into(), |knn| format!("{knn:.2}")),
            known(&self.last_written),
            bytes(self.bytes),
        ]
    }
}

impl RunList {
    /// The list of these runs.
    pub fn of(runs: &[RunRecord]) -> Self {
        Self(runs.iter().map(Entry::of).collect())
    }
}

impl fmt::Display for RunList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = ["run", "state", "method", "encoder", "epochs", "best kNN", "last written", "size"];
        let mut rows = vec![headings.map(str::to_owned).to_vec()];
        rows.extend(self.0.iter().map(Entry::row));
        f.write_str(&table(&rows, 24))?;
        self.0.iter().try_for_each(|run| run.write_notes(f))
    }
}
