//! Some runs beside each other.

use std::fmt;

use serde::{Serialize, Serializer};

use super::list::Entry;
use super::text::table;
use crate::record::{Difference, RunRecord, Settings, differences};

/// Runs beside each other: [`Display`](fmt::Display) for a terminal, [`Serialize`] for programs.
#[derive(Serialize)]
pub struct Comparison {
    runs: Vec<Entry>,
    /// The settings that are not the same in all, with each run's value.
    #[serde(serialize_with = "by_key")]
    settings: Vec<Difference>,
}

impl Comparison {
    /// Compares these.
    pub fn of(runs: &[RunRecord]) -> Self {
        let settings: Vec<&Settings> = runs.iter().map(|run| &run.settings).collect();
        Self { runs: runs.iter().map(Entry::of).collect(), settings: differences(&settings) }
    }
}

fn by_key<S: Serializer>(settings: &[Difference], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(settings.iter().map(|setting| (&setting.key, &setting.values)))
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (80 / (self.runs.len() + 1)).clamp(16, 32);
        let row = |name: &str, of: &dyn Fn(&Entry) -> Option<String>| {
            let values = self.runs.iter().map(|run| of(run).unwrap_or_else(|| "–".into()));
            std::iter::once(name.to_owned()).chain(values).collect::<Vec<String>>()
        };
        let mut rows = vec![row("", &|run| Some(run.name.clone()))];
        rows.extend(self.settings.iter().map(|setting| {
            let values = setting.values.iter().map(|value| value.clone().unwrap_or_else(|| "–".into()));
            std::iter::once(setting.key.clone()).chain(values).collect()
        }));
        rows.push(Vec::new());
        rows.push(row("state", &|run| Some(run.state.clone())));
        rows.push(row("kNN best, %", &|run| run.best_knn_top1.map(|knn| format!("{knn:.2}"))));
        rows.push(row("at step", &|run| run.best_knn_step.map(|step| step.to_string())));
        rows.push(row("kNN untrained, %", &|run| run.untrained_knn_top1.map(|knn| format!("{knn:.2}"))));
        rows.push(row("last loss", &|run| run.last_loss.map(|loss| format!("{loss:.4}"))));
        rows.push(row("images/s", &|run| run.images_per_s.map(|rate| format!("{rate:.1}"))));
        rows.push(row("verdict", &|run| run.verdict.map(|health| health.to_string())));
        f.write_str(&table(&rows, width))?;
        if self.settings.is_empty() {
            writeln!(f, "all settings are the same")?;
        }
        self.runs.iter().try_for_each(|run| run.write_notes(f))
    }
}
