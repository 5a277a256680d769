//! Checkpoints: a folder that appears whole or not at all, and says of each of its files how it must look.
//!
//! ```text
//! RUN/checkpoints/step-000000390/model.safetensors      weights and running statistics
//!                               /optimizer.safetensors  momentum
//!                               /state.json             position, averages, configuration, data, quarantine
//! RUN/checkpoints/best.json                             which of them had the best kNN accuracy
//! ```
//!
//! A folder is filled as `step-N.partial` and then renamed. One that is saved anew, as at an epoch's end, steps aside to
//! `step-N.replaced` until the new one has its name, and counts until then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use simsiam_model::state::NamedTensor;
use simsiam_pipeline::BadSample;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::TrainConfig;
use crate::data::Data;
use crate::error::InputError;
use crate::progress::Counters;
use crate::tensor_file;

/// Everything of a run that is not a tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunState {
    /// Version of this layout.
    pub format: u32,
    /// Steps, averages and accuracies so far.
    pub counters: Counters,
    /// The resolved configuration.
    pub config: TrainConfig,
    /// Fingerprint of the training shards.
    pub data: u64,
    /// Samples found unusable so far.
    pub quarantine: Vec<BadSample>,
}

impl RunState {
    /// The state of a run at this moment.
    pub fn new(config: &TrainConfig, data: &Data, counters: &Counters) -> Self {
        Self {
            format: FORMAT,
            counters: counters.clone(),
            config: config.clone(),
            data: data.train.shards.fingerprint(),
            quarantine: data.train.quarantine.list(),
        }
    }
}

/// The version of the layout that this program writes and reads.
pub const FORMAT: u32 = 2;
const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const BEST: &str = "best.json";
const PARTIAL: &str = "partial";
const REPLACED: &str = "replaced";

/// A checkpoint in memory.
pub struct Checkpoint {
    /// Position, averages, configuration.
    pub state: RunState,
    /// Weights and running statistics.
    pub model: Vec<NamedTensor>,
    /// Momentum.
    pub optimizer: Vec<NamedTensor>,
}

/// `state.json`: the state, and the other files' checksums.
#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    state: RunState,
    files: BTreeMap<String, FileDigest>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct FileDigest {
    bytes: u64,
    xxh3: u64,
}

impl FileDigest {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, xxh3: xxh3_64(bytes) }
    }
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

    /// Writes a checkpoint; it counts once its folder has its name. Then removes all but the newest `keep` and the best, and
    /// those of later steps: they are broken, or the run would have gone on from them.
    ///
    /// # Errors
    /// If it cannot be written; the ones before are untouched then.
    pub fn save(&self, checkpoint: &Checkpoint, keep: usize) -> anyhow::Result<()> {
        let path = self.dir.join(folder(checkpoint.state.counters.step));
        self.write(checkpoint, &path)
            .with_context(|| format!("cannot write checkpoint {}", path.display()))?;
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
        let steps = self.steps()?;
        for step in steps.iter().rev() {
            match read(&self.path(*step)) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => {
                    tracing::warn!(
                        "checkpoint {} is unusable ({error:#}); trying the one before",
                        self.path(*step).display()
                    );
                }
            }
        }
        Err(InputError::new(format!("{} holds no usable checkpoint", self.dir.display())).into())
    }

    /// The checkpoint at a step.
    ///
    /// # Errors
    /// If there is none, or it is broken.
    pub fn at(&self, step: u64) -> anyhow::Result<Checkpoint> {
        let path = self.path(step);
        if !path.is_dir() {
            let there: Vec<String> = self.steps()?.iter().map(u64::to_string).collect();
            let there = if there.is_empty() { "none".into() } else { there.join(", ") };
            let text = format!("{} has no checkpoint at step {step}; it has: {there}", self.dir.display());
            return Err(InputError::new(text).into());
        }
        read(&path).map_err(|error| {
            InputError::new(format!("checkpoint {} is unusable: {error:#}", path.display())).into()
        })
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
        File::open(&self.dir)?.sync_all()?;
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
        for step in done.into_iter().skip(keep).filter(|step| best != Some(*step)).chain(later) {
            let path = self.dir.join(folder(step));
            remove(&path)?;
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

    fn steps(&self) -> anyhow::Result<Vec<u64>> {
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

fn read(path: &Path) -> anyhow::Result<Checkpoint> {
    let manifest = fs::read(path.join(STATE)).map_err(anyhow::Error::from);
    let manifest = manifest.and_then(|bytes| parse_manifest(&bytes)).context(STATE)?;
    let tensors = |name: &str| -> anyhow::Result<Vec<NamedTensor>> {
        let bytes = fs::read(path.join(name))?;
        ensure!(manifest.files.get(name) == Some(&FileDigest::of(&bytes)), "checksum mismatch");
        tensor_file::decode(&bytes, |_| true)
    };
    Ok(Checkpoint {
        model: tensors(MODEL).context(MODEL)?,
        optimizer: tensors(OPTIMIZER).context(OPTIMIZER)?,
        state: manifest.state,
    })
}

fn fill(folder: &Path, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut files = BTreeMap::new();
    for (name, tensors) in [(MODEL, &checkpoint.model), (OPTIMIZER, &checkpoint.optimizer)] {
        let bytes = tensor_file::encode(tensors, None)?;
        files.insert(name.to_owned(), FileDigest::of(&bytes));
        write_synced(&folder.join(name), &bytes)?;
    }
    let manifest = Manifest { state: checkpoint.state.clone(), files };
    write_synced(&folder.join(STATE), &serde_json::to_vec_pretty(&manifest)?)?;
    Ok(File::open(folder)?.sync_all()?)
}

pub(crate) fn parse_manifest(bytes: &[u8]) -> anyhow::Result<Manifest> {
    let manifest: serde_json::Value = serde_json::from_slice(bytes)?;
    let format = &manifest["state"]["format"];
    ensure!(*format == FORMAT, "its format is {format}, this program reads {FORMAT}");
    Ok(serde_json::from_value(manifest)?)
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;
    use crate::progress::Mean;

    fn checkpoint(step: u64, best: Option<(f64, u64)>) -> Checkpoint {
        let mut interval_loss = Mean::default();
        interval_loss.add(-0.1 + step as f64 / 3.0);
        let tensor =
            |name: &str, data: Vec<f32>| NamedTensor { name: name.into(), shape: vec![data.len()], data };
        Checkpoint {
            state: RunState {
                format: FORMAT,
                config: TrainConfig::preset(Preset::Demo),
                data: u64::MAX - 1,
                counters: Counters { step, interval_loss, best_knn: best, ..Counters::default() },
                quarantine: Vec::new(),
            },
            model: vec![tensor("encoder.conv1.weight", vec![step as f32, -0.0, 1e-38])],
            optimizer: vec![tensor("encoder.conv1.weight", vec![1.5; 3])],
        }
    }

    #[test]
    fn what_is_saved_is_read_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointDir::new(dir.path());
        assert!(checkpoints.newest().is_err());
        checkpoints.save(&checkpoint(7, None), 2).unwrap();
        let read = checkpoints.newest().unwrap();
        let (saved, bits) =
            (checkpoint(7, None), |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        assert_eq!(bits(&read.model[0].data), bits(&saved.model[0].data));
        assert_eq!(read.state.counters.interval_loss, saved.state.counters.interval_loss);
        assert_eq!((read.state.counters.step, read.state.data), (7, u64::MAX - 1));
        assert_eq!(read.state.config, saved.state.config);
    }

    #[test]
    fn the_last_k_and_the_best_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointDir::new(dir.path());
        for step in 1..=6 {
            checkpoints.save(&checkpoint(step, Some((50.0, 2.min(step)))), 2).unwrap();
        }
        assert_eq!(checkpoints.steps().unwrap(), [2, 5, 6]);
        assert_eq!(checkpoints.best_step().unwrap(), 2);
        assert_eq!(checkpoints.at(5).unwrap().state.counters.step, 5);
        let error = checkpoints.at(4).err().unwrap().to_string();
        assert!(error.ends_with("has no checkpoint at step 4; it has: 2, 5, 6"), "{error}");
    }

    #[test]
    fn checkpoints_of_later_steps_go_with_the_next_save_and_crowd_out_none_before() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointDir::new(dir.path());
        for step in [5, 8, 9] {
            checkpoints.save(&checkpoint(step, None), 3).unwrap();
        }
        // 8 and 9 were broken, so the run went on from 5.
        checkpoints.save(&checkpoint(6, None), 2).unwrap();
        assert_eq!(checkpoints.steps().unwrap(), [5, 6]);
    }

    #[test]
    fn a_checkpoint_cut_at_any_byte_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointDir::new(dir.path());
        checkpoints.save(&checkpoint(1, None), 2).unwrap();
        checkpoints.save(&checkpoint(2, None), 2).unwrap();
        for name in [MODEL, OPTIMIZER, STATE] {
            let path = checkpoints.path(2).join(name);
            let whole = fs::read(&path).unwrap();
            for length in 0..whole.len() {
                fs::write(&path, &whole[..length]).unwrap();
                assert_eq!(
                    checkpoints.newest().unwrap().state.counters.step,
                    1,
                    "{name} cut to {length} bytes"
                );
            }
            fs::write(&path, whole).unwrap();
        }
        assert_eq!(checkpoints.newest().unwrap().state.counters.step, 2);
    }

    #[test]
    fn a_kill_between_the_steps_of_a_save_loses_no_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = CheckpointDir::new(dir.path());
        let saved = |best| checkpoints.save(&checkpoint(3, best), 1).unwrap();
        let newest = || checkpoints.newest().unwrap().state.counters;
        let (path, names) = (checkpoints.path(3), || {
            let entries = fs::read_dir(&checkpoints.dir).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        });
        saved(None);
        // Killed after the old one stepped aside.
        fs::rename(&path, path.with_extension(REPLACED)).unwrap();
        assert_eq!((newest().step, newest().best_knn), (3, None));
        saved(Some((50.0, 3)));
        assert_eq!(newest().best_knn, Some((50.0, 3)));
        assert_eq!(names(), ["best.json", "step-000000003"]);
        // Killed before the old one was removed, and while another was filled.
        fs::create_dir(path.with_extension(REPLACED)).unwrap();
        fs::create_dir(checkpoints.dir.join("step-000000004.partial")).unwrap();
        assert_eq!(newest().best_knn, Some((50.0, 3)));
        checkpoints.save(&checkpoint(5, Some((60.0, 5))), 1).unwrap();
        assert_eq!(names(), ["best.json", "step-000000005"]);
    }
}
