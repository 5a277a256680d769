//! A run read back from its folder, whatever it was left as: going, stopped, cut off in the middle of a line.

mod found;
mod metrics;
mod settings;
mod standing;

pub use self::found::Evaluation;
pub use self::metrics::{Line, RecordedMetrics, VerdictChange};
pub use self::settings::{Difference, Settings, differences};
pub use self::standing::Standing;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use simsiam_pipeline::BadSample;

use crate::checkpoint::CheckpointDir;
use crate::error::InputError;
use crate::health::Health;
use crate::run_dir::{CONFIG, METRICS, saved_provenance};

/// What a run's folder says of the run.
#[derive(Debug)]
pub struct RunRecord {
    /// The folder's name.
    pub name: String,
    /// The folder, as it was given.
    pub path: PathBuf,
    /// `config.toml`, as it is.
    pub config: String,
    /// Its settings.
    pub settings: Settings,
    /// What was measured.
    pub metrics: RecordedMetrics,
    /// How far it has come.
    pub standing: Standing,
    /// When the run began; where it does not say, when `config.toml` was last written.
    pub begun: Option<SystemTime>,
    /// When the metrics were last written.
    pub last_written: Option<SystemTime>,
    /// Size of all files, in bytes.
    pub bytes: u64,
    /// Steps of its checkpoints, in order.
    pub checkpoints: Vec<u64>,
    /// The latest results of `simsiam eval`.
    pub evaluations: Vec<Evaluation>,
    /// Samples that could not be used.
    pub quarantine: Vec<BadSample>,
    /// Program, machine and command: (name, value). Empty where the run was made by a program that did not record them.
    pub environment: Vec<(String, String)>,
    /// What a reader must know of gaps in all this.
    pub notes: Vec<String>,
}

impl RunRecord {
    /// Unusable samples that a page lists.
    pub const MOST_LISTED: usize = 100;

    /// Whether `path` is the folder of a run.
    pub fn is_run(path: &Path) -> bool {
        path.join(CONFIG).is_file()
    }

    /// Reads the run in `path`, which may be going on.
    ///
    /// # Errors
    /// If there is no run, or its files cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        if !Self::is_run(path) {
            let found = if path.exists() { format!("no {CONFIG}") } else { "no such folder".into() };
            return Err(InputError::new(format!("{} holds no run: {found}", path.display())).into());
        }
        let file = path.join(CONFIG);
        let config = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let config = String::from_utf8_lossy(&config).into_owned();
        let mut notes = Vec::new();
        let settings = config.parse().unwrap_or_else(|error: toml::de::Error| {
            notes.push(format!("{CONFIG} is no configuration: {}", error.message()));
            Settings::default()
        });
        let metrics = RecordedMetrics::read(&path.join(METRICS))?;
        let standing = Standing::of(path, &settings, &metrics);
        notes.extend(metrics.notes(standing == Standing::Going));
        Ok(Self {
            name: name(path),
            path: path.to_owned(),
            config,
            settings,
            standing,
            metrics,
            begun: begun(path).or_else(|| modified(&file)),
            last_written: modified(&path.join(METRICS)),
            bytes: size(path).with_context(|| format!("cannot list {}", path.display()))?,
            checkpoints: CheckpointDir::new(path).steps()?,
            evaluations: Evaluation::latest(path),
            quarantine: found::quarantine(path),
            environment: found::environment(path),
            notes,
        })
    }

    /// Reads the runs in `paths`. Where two folders have the same name, the runs are named by their paths.
    ///
    /// # Errors
    /// If one is no run's folder, or cannot be read.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let runs = paths.iter().map(|path| Self::read(path)).collect::<Result<_>>()?;
        Ok(Self::named_apart(runs))
    }

    /// As [`read_all`](Self::read_all), without those that cannot be read, of which a warning tells.
    pub fn read_usable(paths: &[PathBuf]) -> Vec<Self> {
        let read = |path: &PathBuf| {
            let warn = |error: &anyhow::Error| tracing::warn!("{}: left out: {error:#}", path.display());
            Self::read(path).inspect_err(warn).ok()
        };
        Self::named_apart(paths.iter().filter_map(read).collect())
    }

    fn named_apart(mut runs: Vec<Self>) -> Vec<Self> {
        let mut uses: HashMap<String, usize> = HashMap::new();
        for run in &runs {
            *uses.entry(run.name.clone()).or_default() += 1;
        }
        for run in &mut runs {
            if uses[&run.name] > 1 {
                run.name = run.path.display().to_string();
            }
        }
        runs
    }

    /// Best kNN top-1 accuracy of the trained encoder in percent, and its step.
    pub fn best_knn(&self) -> Option<(f64, u64)> {
        let trained = self.metrics.epochs.iter().filter(|line| line.step > 0);
        let found = trained.filter_map(|line| Some((line.knn_top1?, line.step)));
        // Of equal ones the first, as training keeps it.
        found.reduce(|best, later| if later.0 > best.0 { later } else { best })
    }

    /// kNN top-1 accuracy of the untrained encoder, in percent.
    pub fn untrained_knn(&self) -> Option<f64> {
        self.metrics.epochs.iter().find(|line| line.step == 0)?.knn_top1
    }

    /// The latest logged loss.
    pub fn last_loss(&self) -> Option<f64> {
        self.metrics.steps.last()?.loss
    }

    /// Median over the log lines.
    pub fn images_per_s(&self) -> Option<f64> {
        let mut rates: Vec<f64> = self.metrics.steps.iter().filter_map(|line| line.images_per_s).collect();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied()
    }

    /// Whether its outputs tell images apart, as last seen.
    pub fn verdict(&self) -> Option<Health> {
        self.metrics.steps.last()?.health
    }
}

/// The folder's own name, also of `.` and the like.
fn name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.file_name().unwrap_or(real.as_os_str()).to_string_lossy().into_owned()
}

/// When the process started that trained the first step.
fn begun(run: &Path) -> Option<SystemTime> {
    let first = saved_provenance(run).into_iter().next().filter(|first| first.step == 0)?;
    humantime::parse_rfc3339(&first.started).ok()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Bytes of the files in `dir` and below. One that goes away meanwhile, as a running run's checkpoints do, has none.
fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()).unwrap_or(0),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metrics: Option<&[u8]>) -> RunRecord {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CONFIG), "epochs = 2\nseed = 3\n").unwrap();
        if let Some(metrics) = metrics {
            fs::write(dir.path().join(METRICS), metrics).unwrap();
        }
        RunRecord::read(dir.path()).unwrap()
    }

    #[test]
    fn a_run_without_metrics_says_so() {
        let run = read(None);
        assert_eq!(run.notes, ["no metrics.jsonl: nothing was logged yet"]);
        assert_eq!(run.standing, Standing::NotBegun);
        assert_eq!((run.best_knn(), run.last_loss(), run.verdict()), (None, None, None));
    }

    #[test]
    fn the_best_accuracy_is_that_of_a_trained_encoder() {
        let run = read(Some(
            b"{\"step\":0,\"epoch\":0,\"knn_top1\":60.0}\n{\"step\":9,\"epoch\":1,\"knn_top1\":41.0}\n\
            {\"step\":18,\"epoch\":2,\"knn_top1\":41.0}\n",
        ));
        assert_eq!((run.best_knn(), run.untrained_knn()), (Some((41.0, 9)), Some(60.0)));
        assert_eq!(run.standing, Standing::Finished { step: 18 });
    }

    #[test]
    fn a_folder_that_is_no_run_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = RunRecord::read(dir.path()).unwrap_err().to_string();
        assert_eq!(error, format!("{} holds no run: no config.toml", dir.path().display()));
        let error = RunRecord::read(&dir.path().join("gone")).unwrap_err().to_string();
        assert!(error.ends_with("gone holds no run: no such folder"), "{error}");
    }

    #[test]
    fn a_config_that_is_not_toml_is_a_note() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CONFIG), "epochs = = 2\n").unwrap();
        let run = RunRecord::read(dir.path()).unwrap();
        assert!(run.notes[0].starts_with("config.toml is no configuration: "), "{:?}", run.notes);
    }
}
