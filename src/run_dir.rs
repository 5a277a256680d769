//! A run's folder: its configuration, its metrics, its checkpoints, and the lock that keeps a second process out.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use simsiam_pipeline::BadSample;

use crate::checkpoint::CheckpointDir;
use crate::config::TrainConfig;
use crate::error::InputError;
use crate::files::write_whole;
use crate::provenance::Provenance;

/// The resolved configuration.
pub const CONFIG: &str = "config.toml";
/// One line for each log line and epoch.
pub const METRICS: &str = "metrics.jsonl";
/// What each process that trained the run was: program, machine, command, data.
pub const PROVENANCE: &str = "provenance.json";
/// Samples that could not be used, in a run's folder.
pub const QUARANTINE: &str = "quarantine.json";
/// Held by the process that trains.
const LOCK: &str = "lock";

/// The configuration of the run in `path`, which may be in use.
///
/// # Errors
/// If there is no run, or its configuration is not one that this program writes.
pub fn saved_config(path: &Path) -> Result<TrainConfig, InputError> {
    let file = path.join(CONFIG);
    let text = fs::read_to_string(&file).map_err(|error| {
        InputError::new(match path.exists() {
            true => format!("{} holds no run: {CONFIG}: {error}", path.display()),
            false => format!("{}: no such run or file", path.display()),
        })
    })?;
    toml::from_str(&text).map_err(|error| InputError::new(format!("{}: {error}", file.display())))
}

/// The processes that the run in `path` has had, in order; none where that was not noted, or cannot be read.
pub fn saved_provenance(path: &Path) -> Vec<Provenance> {
    let text = fs::read(path.join(PROVENANCE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// A run's folder, locked while this value lives. One that another process of the run writes is not locked, and nothing is written to it.
pub struct RunDir {
    path: PathBuf,
    lock: Option<File>,
}

impl RunDir {
    /// Whether a new run may be made in `path`.
    ///
    /// # Errors
    /// If it holds a run already.
    pub fn check_free(path: &Path) -> Result<(), InputError> {
        if !path.join(CONFIG).exists() && path.join(METRICS).exists() {
            let path = path.display();
            return Err(InputError::new(format!(
                "run folder {path} holds the {METRICS} of something else: another --run-dir leaves it alone"
            )));
        }
        // A run that failed before its first checkpoint, such as an import on a full disk, leaves the folder empty.
        let has_checkpoints = !CheckpointDir::new(path).is_empty().unwrap_or(false);
        if path.join(CONFIG).exists() || has_checkpoints {
            return Err(InputError::new(format!(
                "run folder {path} already holds a run: `--resume {path}` goes on with it, another --run-dir starts a new one",
                path = path.display()
            )));
        }
        Ok(())
    }

    /// Makes the folder of a new run.
    ///
    /// # Errors
    /// If it holds a run already, is in use, or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        Self::check_free(path)?;
        fs::create_dir_all(path).with_context(|| format!("cannot make run folder {}", path.display()))?;
        Self::lock(path)
    }

    /// Writes the resolved configuration: from then on the folder holds a run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_config(&self, config: &TrainConfig) -> Result<()> {
        self.write(CONFIG, config.to_string())
    }

    /// Opens the folder of a run to go on with.
    ///
    /// # Errors
    /// If there is none, or it is in use.
    pub fn resume(path: &Path) -> Result<Self> {
        if !path.join(CONFIG).is_file() {
            return Err(InputError::new(format!(
                "cannot resume {}: it holds no run (no config.toml)",
                path.display()
            ))
            .into());
        }
        Self::lock(path)
    }

    /// The folder of a run that the first of its processes writes. It need not be there, unless there is a run to go on with.
    pub fn of_first(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    /// Whether this process writes it.
    pub fn is_own(&self) -> bool {
        self.lock.is_some()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its checkpoints.
    pub fn checkpoints(&self) -> CheckpointDir {
        CheckpointDir::new(&self.path)
    }

    /// Writes the list of unusable samples, if there are any.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_quarantine(&self, bad: &[BadSample]) -> Result<()> {
        if bad.is_empty() { Ok(()) } else { self.write(QUARANTINE, serde_json::to_string_pretty(bad)?) }
    }

    /// Adds a process to those that the run has had. A list that cannot be read is begun anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add_provenance(&self, provenance: &Provenance) -> Result<()> {
        let mut all = saved_provenance(&self.path);
        all.push(provenance.clone());
        self.write(PROVENANCE, serde_json::to_string_pretty(&all)?)
    }

    fn write(&self, name: &str, text: String) -> Result<()> {
        if !self.is_own() {
            return Ok(());
        }
        write_whole(&self.path.join(name), text.as_bytes())
    }

    /// Whether a process holds the lock of the run in `path`. Looking takes a shared lock for a moment.
    pub fn is_locked(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    fn lock(path: &Path) -> Result<Self> {
        let file = path.join(LOCK);
        let lock = File::create(&file).with_context(|| format!("cannot make {}", file.display()))?;
        // Whoever only looks at the run holds the lock for a moment.
        let mut tries = 20;
        let locked = loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) if tries > 0 => {
                    tries -= 1;
                    thread::sleep(Duration::from_millis(10));
                }
                locked => break locked,
            }
        };
        match locked {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => {
                Err(InputError::new(format!("run folder {} is in use by another process", path.display()))
                    .into())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", file.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_as_long_as_its_value_lives() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!RunDir::is_locked(dir.path()));
        let lock = RunDir::lock(dir.path()).unwrap();
        assert!(RunDir::is_locked(dir.path()));
        drop(lock);
        assert!(!RunDir::is_locked(dir.path()));
    }

    #[test]
    fn a_folder_that_got_no_checkpoint_is_free() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("checkpoints")).unwrap();
        assert!(RunDir::check_free(dir.path()).is_ok());
        fs::create_dir(dir.path().join("checkpoints/step-000000000")).unwrap();
        assert!(RunDir::check_free(dir.path()).is_err());
    }
}
