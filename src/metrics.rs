//! `RUN/metrics.jsonl`: one JSON object a line, flushed as it is written.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::config::{MlpBn, TrainConfig};
use crate::run_dir::METRICS;

/// What training was like since the last such line.
#[derive(Clone, Debug, Serialize)]
pub struct StepMetrics {
    /// Steps done.
    pub step: u64,
    /// The epoch under way, from 1.
    pub epoch: u64,
    /// Mean loss since the last line; SimSiam's and BYOL's is at best -1.
    pub loss: f64,
    /// Standard deviation of `z / |z|`, mean over channels, both views, and the steps since the last line.
    pub z_std: f64,
    /// What it is when `z / |z|` is spread evenly over the sphere: `1 / sqrt(d)`.
    pub z_std_even: f64,
    /// Effective rank of `z / |z|`: the number of directions in which the outputs vary, at least 1.
    pub z_rank: f64,
    /// What std and rank say together.
    pub health: Health,
    /// Learning rate of encoder and projector at this step.
    pub lr: f64,
    /// Learning rate of the predictor at this step.
    pub predictor_lr: f64,
    /// Images (two views each) a second since the last line.
    pub images_per_s: f64,
    /// Share of the time since the last line spent waiting for data, 0 to 1.
    pub data_wait: f64,
}

/// Whether the outputs still tell images apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// They do.
    #[default]
    Healthy,
    /// They use few of their dimensions: the effective rank is under [`FEW_DIRECTIONS`](HealthRule::FEW_DIRECTIONS).
    DimensionalCollapse,
    /// They don't: the std of `z / |z|` is under a tenth of `1 / sqrt(d)`, or all outputs lie on one line.
    Collapsed,
    /// Loss or outputs are no longer numbers.
    Diverged,
}

/// What tells the states apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthRule {
    /// The std of outputs that are spread evenly: `1 / sqrt(d)`.
    pub even_std: f64,
    /// Whether batch norm keeps the outputs' mean at 0. Their std cannot fall to 0 then, so that they lie on one line is a
    /// collapse; elsewhere it can, and the std alone tells.
    pub centres: bool,
    /// Whether the effective rank tells anything: centred outputs of `b` images have `b - 1` directions at most.
    pub knows_rank: bool,
}

impl HealthRule {
    /// Under this effective rank, outputs count as lying on one line. Exactly on it, the rank is 1; spread evenly over a plane,
    /// it is 2.
    pub const LINE: f64 = 2.0;
    /// Under this effective rank, outputs count as using few of their dimensions.
    pub const FEW_DIRECTIONS: f64 = 2.5;
    /// From this batch on the rank is looked at.
    const FEWEST_IMAGES: usize = 8;

    /// The rule for a run.
    pub fn new(config: &TrainConfig) -> Self {
        Self {
            even_std: 1.0 / (config.projector_dim as f64).sqrt(),
            centres: matches!(config.mlp_bn, MlpBn::Default | MlpBn::All),
            knows_rank: config.batch_size >= Self::FEWEST_IMAGES,
        }
    }

    /// The state of outputs with this std and effective rank.
    pub fn judge(&self, loss: f64, z_std: f64, z_rank: f64) -> Health {
        let Self { even_std, centres, knows_rank } = *self;
        if ![loss, z_std, z_rank].iter().all(|value| value.is_finite()) {
            Health::Diverged
        } else if z_std < 0.1 * even_std || (knows_rank && centres && z_rank < Self::LINE) {
            Health::Collapsed
        } else if knows_rank && z_rank < Self::FEW_DIRECTIONS {
            Health::DimensionalCollapse
        } else {
            Health::Healthy
        }
    }
}

impl Health {
    /// The state after a line of state `before`: a collapse lasts until the outputs are healthy again, so that a rank near
    /// the limit is not announced at every other line.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        if (before, self) == (Self::Collapsed, Self::DimensionalCollapse) { before } else { self }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::DimensionalCollapse => "dimensional collapse",
            Self::Collapsed => "collapsed",
            Self::Diverged => "diverged",
        })
    }
}

/// What an epoch came to.
#[derive(Clone, Debug, Serialize)]
pub struct EpochMetrics {
    /// Steps done.
    pub step: u64,
    /// Epochs done; 0 is the untrained encoder.
    pub epoch: u64,
    /// Mean loss over the epoch's steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch_loss: Option<f64>,
    /// kNN top-1 accuracy on the backbone's pooled features, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knn_top1: Option<f64>,
}

/// The file, open for appending.
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run that has done `step` steps and reported `epochs` epochs; what a killed run wrote beyond
    /// them is cut off, since it will be written again.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(run_dir: &Path, step: u64, epochs: u64) -> anyhow::Result<Self> {
        let path = run_dir.join(METRICS);
        let open = || -> std::io::Result<File> {
            let keep = lines_up_to(&path, step, epochs)?;
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(keep)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Appends one line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, metrics: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_string(metrics)?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Length in bytes of the whole lines that are about the first `step` steps and the first `epochs` epochs' ends.
fn lines_up_to(path: &Path, step: u64, epochs: u64) -> std::io::Result<u64> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut reader = BufReader::new(file);
    let (mut keep, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 0 {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let is_epochs_end = value.get("loss").is_none();
        let is_done = value["step"].as_u64().is_some_and(|at| at <= step)
            && !(is_epochs_end && value["epoch"].as_u64().is_none_or(|epoch| epoch >= epochs));
        if !(line.ends_with('\n') && is_done) {
            break;
        }
        keep += line.len() as u64;
        line.clear();
    }
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    const CENTRED: HealthRule = HealthRule { even_std: 1.0, centres: true, knows_rank: true };

    #[test]
    fn a_tenth_of_the_even_std_is_a_collapse() {
        let even_std = 1.0 / 2048f64.sqrt();
        let rule = HealthRule { even_std, centres: false, ..CENTRED };
        let health = |share: f64| rule.judge(-0.9, share * even_std, 20.0);
        assert_eq!([0.101, 0.5, 1.2].map(health), [Health::Healthy; 3]);
        assert_eq!([0.0, 0.099].map(health), [Health::Collapsed; 2]);
    }

    #[test]
    fn few_directions_are_a_collapse_whatever_their_std() {
        assert_eq!(
            [1.0, 1.99, 2.01, 2.49, 2.51].map(|rank| CENTRED.judge(-0.9, 1.0, rank)),
            [
                Health::Collapsed,
                Health::Collapsed,
                Health::DimensionalCollapse,
                Health::DimensionalCollapse,
                Health::Healthy
            ]
        );
    }

    #[test]
    fn a_collapse_lasts_until_the_outputs_are_healthy() {
        assert_eq!(Health::DimensionalCollapse.after(Health::Collapsed), Health::Collapsed);
        assert_eq!(Health::DimensionalCollapse.after(Health::Healthy), Health::DimensionalCollapse);
        assert_eq!(Health::Healthy.after(Health::Collapsed), Health::Healthy);
    }

    #[test]
    fn a_line_is_a_collapse_only_behind_batch_norm() {
        let rule = HealthRule { centres: false, ..CENTRED };
        assert_eq!(rule.judge(7.5, 0.5, 1.2), Health::DimensionalCollapse);
    }

    #[test]
    fn batches_of_a_few_images_are_judged_by_their_std_alone() {
        let rule = |batch_size| HealthRule {
            even_std: 1.0,
            ..HealthRule::new(&TrainConfig { batch_size, ..TrainConfig::preset(Preset::Demo) })
        };
        assert_eq!(
            [2, 7, 8].map(|batch| rule(batch).judge(-0.5, 1.0, 1.0)),
            [Health::Healthy, Health::Healthy, Health::Collapsed]
        );
        assert_eq!(rule(2).judge(-1.0, 0.01, 1.0), Health::Collapsed);
    }

    #[test]
    fn what_is_no_number_has_diverged() {
        assert_eq!(CENTRED.judge(f64::NAN, 1.0, 9.0), Health::Diverged);
        assert_eq!(CENTRED.judge(-0.5, f64::NAN, 9.0), Health::Diverged);
    }

    #[test]
    fn a_resumed_log_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let line = |step| EpochMetrics { step, epoch: step, epoch_loss: None, knn_top1: Some(1.5) };
        let mut log = MetricsLog::open(dir.path(), 0, 0).unwrap();
        for step in 0..5 {
            log.write(&line(step)).unwrap();
        }
        log.file.write_all(b"{\"step\":5,\"ep").unwrap();
        drop(log);
        let mut log = MetricsLog::open(dir.path(), 2, 3).unwrap();
        log.write(&line(3)).unwrap();
        let text = std::fs::read_to_string(dir.path().join("metrics.jsonl")).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [0, 1, 2, 3]);
    }

    #[test]
    fn an_epochs_end_that_no_checkpoint_knows_of_is_not_reported_twice() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = MetricsLog::open(dir.path(), 0, 0).unwrap();
        log.write(&serde_json::json!({ "step": 9, "epoch": 1, "loss": -0.5 })).unwrap();
        let step_only = std::fs::metadata(&log.path).unwrap().len();
        // Killed before the checkpoint of the epoch's end; the one before is of the same step.
        log.write(&EpochMetrics { step: 9, epoch: 1, epoch_loss: None, knn_top1: None }).unwrap();
        let log = MetricsLog::open(dir.path(), 9, 1).unwrap();
        assert_eq!(std::fs::metadata(&log.path).unwrap().len(), step_only);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut log = MetricsLog { path: "run/metrics.jsonl".into(), file };
        let error = log.write(&serde_json::json!({ "step": 1 })).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot write run/metrics.jsonl: No space left on device (os error 28)"
        );
    }
}
