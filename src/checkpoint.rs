//! Checkpoints: a folder that appears whole or not at all, and says of each of its files how it must look.
//!
//! ```text
//! RUN/checkpoints/step-000000390/model.safetensors      weights and running statistics
//!                               /optimizer.safetensors  what the optimiser keeps of each parameter: momentum, or moments and steps
//!                               /probe.safetensors      the online probe, in a run that has one
//!                               /state.json             position, averages, configuration, data, quarantine
//! RUN/checkpoints/best.json                             which of them had the best kNN accuracy
//! ```
//!
//! A folder is filled as `step-N.partial` and then renamed. One that is saved anew, as at an epoch's end, steps aside to
//! `step-N.replaced` until the new one has its name, and counts until then. The best one is kept for evaluation: once newer ones have
//! taken its place for `--resume`, its `optimizer.safetensors` goes.

mod files;

pub use files::FORMAT;
#[cfg(any(test, fuzzing))]
pub(crate) use files::parse_manifest;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use simsiam_model::state::NamedTensor;
use simsiam_pipeline::shards::{Fingerprint, sync_names};
use simsiam_pipeline::{BadSample, Part};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use self::files::{MODEL, OPTIMIZER, fill, read, read_model, remove, remove_file, write_synced};
use crate::config::TrainConfig;
use crate::data::Data;
use crate::error::InputError;
use crate::progress::Counters;
use crate::provenance::Provenance;

/// Everything of a run that is not a tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunState {
    /// Version of this layout.
    pub format: u32,
    /// Steps, averages and accuracies so far.
    pub counters: Counters,
    /// The resolved configuration.
    pub config: TrainConfig,
    /// Fingerprint of the training images; `None` where it trained on none, or the checkpoint has the older layout.
    pub data: Option<Fingerprint>,
    /// Which of the samples it trains on; not known of checkpoints of before there was this.
    #[serde(default)]
    pub part: Option<Part>,
    /// Identifies what they were chosen as and mixed by, where they were.
    #[serde(default)]
    pub population: Option<u64>,
    /// Samples found unusable so far.
    pub quarantine: Vec<BadSample>,
    /// Those of validation shards; none in checkpoints of before there was this.
    #[serde(default)]
    pub val: Option<ValState>,
    /// The process that saved it; not known of checkpoints of before there was this.
    #[serde(default)]
    pub provenance: Option<Provenance>,
}

/// What a run remembers of its validation shards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValState {
    /// The fingerprint of their images.
    pub data: Fingerprint,
    /// Samples found unusable so far.
    pub quarantine: Vec<BadSample>,
}

impl Checkpoint {
    /// Its folder's name, and a hash of its values: the same where it is the same.
    pub fn name(&self) -> String {
        let tensors = self.model.iter().chain(&self.optimizer).chain(&self.probe);
        // They are read in any order.
        let hash = tensors.fold(0, |hash, tensor| {
            let name = xxh3_64(tensor.name.as_bytes());
            hash ^ xxh3_64_with_seed(bytemuck::cast_slice(&tensor.data), name)
        });
        format!("{} ({hash:016x})", folder(self.state.counters.step))
    }
}

impl RunState {
    /// The state of a run at this moment.
    pub fn new(config: &TrainConfig, data: &Data, counters: &Counters, provenance: &Provenance) -> Self {
        Self {
            format: FORMAT,
            counters: counters.clone(),
            config: config.clone(),
            data: Some(data.train.shards.fingerprint()),
            part: Some(data.train.part),
            population: data.train.population(),
            quarantine: data.train.quarantine.list(),
            val: data
                .val()
                .map(|val| ValState { data: val.shards.fingerprint(), quarantine: val.quarantine.list() }),
            provenance: Some(provenance.clone()),
        }
    }
}

const BEST: &str = "best.json";
const PARTIAL: &str = "partial";
const REPLACED: &str = "replaced";

/// A checkpoint in memory.
pub struct Checkpoint {
    /// Position, averages, configuration.
    pub state: RunState,
    /// Weights and running statistics.
    pub model: Vec<NamedTensor>,
    /// What the optimiser keeps of each parameter.
    pub optimizer: Vec<NamedTensor>,
    /// The online probe; nothing in a run without one.
    pub probe: Vec<NamedTensor>,
}

/// What evaluation takes of a checkpoint.
pub struct SavedModel {
    /// Position, averages, configuration.
    pub state: RunState,
    /// Weights and running statistics.
    pub model: Vec<NamedTensor>,
}

/// Bytes of a checkpoint's files.
pub struct FileSizes {
    /// Of the model.
    pub model: u64,
    /// Of all of them.
    pub all: u64,
}

/// The checkpoints of one run.
pub struct CheckpointDir {
    dir: PathBuf,
}

impl CheckpointDir {
    /// The checkpoints of the run in `run_dir`, made when the first is saved.
    pub fn new(run_dir: &Path) -> Self {
        Self { dir: run_dir.join("checkpoints") }
    }

    /// Writes a checkpoint; it counts once its folder has its name. Then removes all but the newest `keep` and the best one's
    /// model, and those of later steps: they are broken, or the run would have gone on from them.
    ///
    /// # Errors
    /// If it cannot be written; the ones before are untouched then.
    pub fn save(&self, checkpoint: &Checkpoint, keep: usize) -> anyhow::Result<()> {
        let path = self.dir.join(folder(checkpoint.state.counters.step));
        self.write(checkpoint, &path)
            .with_context(|| format!("cannot write checkpoint {}", path.display()))?;
        tracing::info!("saved {}", path.display());
        self.note_best(&checkpoint.state)?;
        self.prune(keep, &checkpoint.state.counters)
    }

    /// Whether there is none, not even a broken one.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn is_empty(&self) -> anyhow::Result<bool> {
        Ok(self.steps()?.is_empty())
    }

    /// The newest checkpoint that is whole. Broken ones are named in a warning and passed over.
    ///
    /// # Errors
    /// If there is none.
    pub fn newest(&self) -> anyhow::Result<Checkpoint> {
        self.newest_by(read)
    }

    /// The model of the newest checkpoint in which it is whole. Broken ones are named in a warning and passed over.
    ///
    /// # Errors
    /// If there is none.
    pub fn newest_model(&self) -> anyhow::Result<SavedModel> {
        self.newest_by(read_model)
    }

    fn newest_by<C>(&self, read: impl Fn(&Path) -> anyhow::Result<C>) -> anyhow::Result<C> {
        for (before, step) in self.steps()?.iter().enumerate().rev() {
            match read(&self.path(*step)) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => {
                    let next = if before > 0 { "; trying the one before" } else { "" };
                    tracing::warn!("checkpoint {} is unusable ({error:#}){next}", self.path(*step).display());
                }
            }
        }
        Err(InputError::new(format!("{} holds no usable checkpoint", self.dir.display())).into())
    }

    /// The model of the checkpoint at a step.
    ///
    /// # Errors
    /// If there is none, or it is broken.
    pub fn model_at(&self, step: u64) -> anyhow::Result<SavedModel> {
        let path = self.path(step);
        if !path.is_dir() {
            let there: Vec<String> = self.steps()?.iter().map(u64::to_string).collect();
            let there = if there.is_empty() { "none".into() } else { there.join(", ") };
            let text = format!("{} has no checkpoint at step {step}; it has: {there}", self.dir.display());
            return Err(InputError::new(text).into());
        }
        read_model(&path).map_err(|error| {
            InputError::new(format!("checkpoint {} is unusable: {error:#}", path.display())).into()
        })
    }

    /// Bytes that the checkpoint at a step takes.
    ///
    /// # Errors
    /// If there is none.
    pub fn file_sizes(&self, step: u64) -> anyhow::Result<FileSizes> {
        let path = self.path(step);
        let mut all = 0;
        for file in fs::read_dir(&path)? {
            all += file?.metadata()?.len();
        }
        Ok(FileSizes { model: fs::metadata(path.join(MODEL))?.len(), all })
    }

    /// The step of the checkpoint with the best kNN accuracy.
    ///
    /// # Errors
    /// If the run has not measured it, or the file that says so is broken.
    pub fn best_step(&self) -> anyhow::Result<u64> {
        let path = self.dir.join(BEST);
        let wrong = |text: String| InputError::new(format!("{} names no checkpoint: {text}", path.display()));
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => wrong("the run has not measured kNN".into()),
            _ => wrong(error.to_string()),
        })?;
        let best: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(best["step"].as_u64().ok_or_else(|| wrong("it has no step".into()))?)
    }

    fn write(&self, checkpoint: &Checkpoint, path: &Path) -> anyhow::Result<()> {
        let (partial, replaced) = (path.with_extension(PARTIAL), path.with_extension(REPLACED));
        remove(&partial)?;
        if let Err(error) = fill(&partial, checkpoint) {
            // Where the disk is full, what was written of it only stands in the way.
            let _ = remove(&partial);
            return Err(error);
        }
        if path.is_dir() {
            remove(&replaced)?;
            fs::rename(path, &replaced)?;
        }
        fs::rename(&partial, path)?;
        sync_names(&self.dir)?;
        Ok(remove(&replaced)?)
    }

    fn note_best(&self, state: &RunState) -> anyhow::Result<()> {
        let Some((knn_top1, step)) = state.counters.best_knn else { return Ok(()) };
        let best = serde_json::json!({ "knn_top1": knn_top1, "step": step, "checkpoint": folder(step) });
        let (path, partial) = (self.dir.join(BEST), self.dir.join("best.json.partial"));
        write_synced(&partial, best.to_string().as_bytes())?;
        Ok(fs::rename(partial, path)?)
    }

    fn prune(&self, keep: usize, counters: &Counters) -> anyhow::Result<()> {
        let best = counters.best_knn.map(|(_, step)| step);
        let (done, later): (Vec<_>, Vec<_>) =
            self.steps()?.into_iter().rev().partition(|step| *step <= counters.step);
        for step in done.into_iter().skip(keep).chain(later) {
            let path = self.dir.join(folder(step));
            if best == Some(step) {
                remove_file(&path.join(OPTIMIZER))?;
            } else {
                remove(&path)?;
            }
            remove(&path.with_extension(REPLACED))?;
        }
        for entry in fs::read_dir(&self.dir)? {
            // A run that was killed while it saved left them.
            let path = entry?.path();
            if path.is_dir() && path.extension().is_some_and(|extension| extension == PARTIAL) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// The steps that there are checkpoints of, in order, whole or not.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn steps(&self) -> anyhow::Result<Vec<u64>> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            steps.extend(name.to_str().and_then(|name| {
                let name =
                    name.strip_suffix(REPLACED).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
                name.strip_prefix("step-")?.parse::<u64>().ok()
            }));
        }
        steps.sort_unstable();
        steps.dedup();
        Ok(steps)
    }

    /// Where the checkpoint of a step is: aside, if its successor was not yet put in its place.
    fn path(&self, step: u64) -> PathBuf {
        let path = self.dir.join(folder(step));
        let replaced = path.with_extension(REPLACED);
        if !path.is_dir() && replaced.is_dir() { replaced } else { path }
    }
}

/// The name of the checkpoint's folder.
pub fn folder(step: u64) -> String {
    format!("step-{step:09}")
}

#[cfg(test)]
mod tests;
