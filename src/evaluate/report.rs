//! What an evaluation leaves: a JSON file with every number and what it was made of.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use simsiam_model::arch::Arch;
use simsiam_pipeline::Part;
use simsiam_pipeline::choose::Choice;
use simsiam_pipeline::shards::{Fingerprint, Labels};

use super::chart;
use super::frozen::FeatureLayer;
use super::probe::examples::ProbeViews;
use super::probe::recipe::ProbeRecipe;
use super::probe::{ProbeEpoch, Trial};
use super::scores::Scores;
use crate::config::TrainConfig;
use crate::data::Source;
use crate::files::{as_text, write_numbered, write_whole};

/// One network judged in one way.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How.
    #[serde(flatten)]
    pub method: Classifier,
    /// The run's folder.
    #[serde(serialize_with = "as_text")]
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
    /// Images of the latter that are in the former, too.
    pub val_in_train: u64,
    /// The result.
    pub scores: Scores,
}

/// How a network was judged.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Classifier {
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
    /// Identifies their images.
    pub fingerprint: Fingerprint,
    /// Where their labels come from.
    pub labels: Labels,
    /// Identifies the samples that were used, where these are not all: those that were chosen, and have a label.
    pub chosen: Option<String>,
    /// How they were chosen.
    pub choice: Choice,
    /// Whether it is the part that was held out of training.
    pub held_out: bool,
    /// Samples asked for.
    pub samples: u64,
    /// Those of them and of the same shards' other part that were unusable.
    pub unusable: usize,
}

impl SourceReport {
    /// Describes a source that was opened from `patterns`, training or validation shards of this configuration.
    pub fn new(source: &Source, patterns: &[String], config: &TrainConfig) -> Self {
        let chosen = source.chosen.as_ref().and_then(|_| source.population());
        Self {
            shards: patterns.to_vec(),
            fingerprint: source.shards.fingerprint(),
            labels: config.labels.clone(),
            chosen: chosen.map(|population| format!("{:08x}", population >> 32)),
            choice: if patterns == config.shards { config.choice() } else { Choice::default() },
            held_out: matches!(source.part, Part::HeldOut { .. }),
            samples: source.len(),
            unusable: source.quarantine.len(),
        }
    }
}

impl Report {
    /// The name of its files without their extensions: which network, judged how, on what.
    /// `step-000000390-knn-backbone-k200-t0.1-train-8c1f09d2-val-held-out`.
    pub fn name(&self) -> String {
        let Self { checkpoint, method, features, train, val, .. } = self;
        let chosen = |source: &SourceReport| {
            source.chosen.as_ref().map_or_else(String::new, |chosen| format!("-chosen-{chosen}"))
        };
        let val = if val.held_out { "held-out".to_owned() } else { val.fingerprint.short() + &chosen(val) };
        let train = train.fingerprint.short() + &chosen(train);
        format!("{checkpoint}-{}-{features}-{}-train-{train}-val-{val}", method.name(), method.recipe())
    }

    /// Writes a JSON file into `RUN/eval`, and the confusion matrix beside it as a PNG; either appears whole or not at all.
    /// A file that says something else is left alone, and the name gets a number; the JSON file's path.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self) -> Result<PathBuf> {
        let (dir, json) = (self.run.join("eval"), self.to_json()?);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let is_same = |before: &[u8]| result_in(before) == result_in(json.as_bytes());
        let path = write_numbered(&dir, &self.name(), json.as_bytes(), is_same)?;
        let picture = path.with_extension("png");
        if let Some(confusion) = self.scores.confusion.as_ref().filter(|_| !picture.exists()) {
            let names: Vec<String> = self.scores.per_class.iter().map(ToString::to_string).collect();
            write_whole(&picture, &chart::confusion_png(confusion, &names, &self.title())?)?;
        }
        Ok(path)
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
        if let Classifier::Probe { base_lr, best, .. } = &self.method {
            write!(f, "  best top-1 {:.2} % (epoch {}; learning rate {base_lr})", best.top1, best.epoch)?;
        }
        Ok(())
    }
}

impl Classifier {
    fn name(&self) -> &'static str {
        match self {
            Self::Knn { .. } => "knn",
            Self::Probe { .. } => "probe",
        }
    }

    /// The settings, as a part of a file's name.
    fn recipe(&self) -> String {
        match self {
            Self::Knn { k, temperature } => format!("k{k}-t{temperature}"),
            Self::Probe { recipe, views, seed, .. } => format!("{}-{views}-seed{seed}", recipe.slug()),
        }
    }
}

/// What a report says, whatever the folder that run and shards were named from.
fn result_in(json: &[u8]) -> Option<Value> {
    let mut report: Value = serde_json::from_slice(json).ok()?;
    for named in ["/run", "/train/shards", "/val/shards"] {
        report.pointer_mut(named).map(Value::take);
    }
    Some(report)
}
