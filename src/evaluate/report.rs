//! What an evaluation leaves: a JSON file with every number and what it was made of.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use simsiam_model::arch::Arch;
use simsiam_pipeline::shards::AtomicFile;

use super::chart;
use super::frozen::FeatureLayer;
use super::probe::examples::ProbeViews;
use super::probe::recipe::ProbeRecipe;
use super::probe::{ProbeEpoch, Trial};
use super::scores::Scores;
use crate::data::Source;

/// One network judged in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How.
    #[serde(flatten)]
    pub method: Method,
    /// The run's folder.
    pub run: PathBuf,
    /// Which of its networks: the checkpoint's folder, or `untrained`.
    pub checkpoint: String,
    /// Steps that it was trained for.
    pub step: u64,
    /// The encoder.
    pub arch: Arch,
    /// Whose output was judged.
    pub features: FeatureLayer,
    /// Length of one feature.
    pub dim: usize,
    /// The bank, or what the probe learned from.
    pub train: SourceReport,
    /// What was classified.
    pub val: SourceReport,
    /// The result.
    pub scores: Scores,
}

/// How a network was judged.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Method {
    /// By the nearest neighbours' votes.
    Knn {
        /// Neighbours asked.
        k: usize,
        /// Their votes weigh `exp(similarity / temperature)`.
        temperature: f32,
    },
    /// By a linear classifier; the report's scores are those after the last epoch, at the learning rate whose top-1 is
    /// highest then.
    Probe {
        /// How it was trained.
        recipe: ProbeRecipe,
        /// On which views.
        views: ProbeViews,
        /// The source of its initial weights, order and crops.
        seed: u64,
        /// The learning rate whose scores these are.
        base_lr: f64,
        /// Its epoch with the highest top-1 accuracy.
        best: ProbeEpoch,
        /// Every learning rate and epoch.
        trials: Vec<TrialReport>,
    },
}

/// A probe at one learning rate.
#[derive(Clone, Debug, Serialize)]
pub struct TrialReport {
    /// The learning rate at a batch of 256.
    pub base_lr: f64,
    /// Every epoch.
    pub history: Vec<ProbeEpoch>,
}

impl From<&Trial> for TrialReport {
    fn from(trial: &Trial) -> Self {
        Self { base_lr: trial.base_lr, history: trial.history.clone() }
    }
}

/// Shards, and what of them was used.
#[derive(Clone, Debug, Serialize)]
pub struct SourceReport {
    /// As they were named.
    pub shards: Vec<String>,
    /// Identifies their contents, in hexadecimal.
    pub fingerprint: String,
    /// Samples asked for.
    pub samples: u64,
    /// Those of them and of the same shards' other part that were unusable.
    pub unusable: usize,
}

impl SourceReport {
    /// Describes a source that was opened from `patterns`.
    pub fn new(source: &Source, patterns: &[String]) -> Self {
        Self {
            shards: patterns.to_vec(),
            fingerprint: format!("{:016x}", source.shards.fingerprint()),
            samples: source.len(),
            unusable: source.quarantine.len(),
        }
    }
}

impl Report {
    /// `RUN/eval/CHECKPOINT-METHOD-FEATURES`, to which the files' extensions are added.
    pub fn path(&self) -> PathBuf {
        let name = format!("{}-{}-{}", self.checkpoint, self.method.name(), self.features);
        self.run.join("eval").join(name)
    }

    /// Writes a JSON file, and the matrix of confusions beside it as a PNG; either appears whole or not at all.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self) -> Result<()> {
        let path = self.path();
        write_whole(&path.with_added_extension("json"), self.to_json()?.as_bytes())?;
        if let Some(confusion) = &self.scores.confusion {
            let names: Vec<String> = self.scores.per_class.iter().map(ToString::to_string).collect();
            let png = chart::confusion_png(confusion, &names, &self.title())?;
            write_whole(&path.with_added_extension("png"), &png)?;
        }
        Ok(())
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// Never for what this program makes.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    fn title(&self) -> [String; 3] {
        let Self { method, checkpoint, arch, features, scores, .. } = self;
        [
            format!("{checkpoint}, {arch}, {features}"),
            format!("{}: top-1 {:.2} %, top-5 {:.2} %", method.name(), scores.top1, scores.top5),
            "row: class, column: taken for, in % of the row".into(),
        ]
    }
}

/// One line for a person.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, scores, .. } = self;
        let name = self.method.name();
        write!(f, "{checkpoint:<14} {name:<5}  top-1 {:6.2} %  top-5 {:6.2} %", scores.top1, scores.top5)?;
        if let Method::Probe { base_lr, best, .. } = &self.method {
            write!(f, "  best top-1 {:.2} % (epoch {}; learning rate {base_lr})", best.top1, best.epoch)?;
        }
        Ok(())
    }
}

impl Method {
    fn name(&self) -> &'static str {
        match self {
            Self::Knn { .. } => "knn",
            Self::Probe { .. } => "probe",
        }
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        AtomicFile::write_all_to(path, bytes)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
