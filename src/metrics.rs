//! `RUN/metrics.jsonl`: one JSON object a line, flushed as it is written.

mod pipeline;

pub use self::pipeline::{PipelineMetrics, QueueMetrics, WorkerTime};

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use humantime::format_rfc3339_millis;
use serde::Serialize;

use crate::config::StopRule;
use crate::health::Health;
use crate::run_dir::{METRICS, RunDir};

/// What training was like since the last such line.
#[derive(Clone, Debug, Serialize)]
pub struct StepMetrics {
    /// Steps done.
    pub step: u64,
    /// The epoch under way, from 1.
    pub epoch: u64,
    /// Mean loss since the last line; SimSiam's and BYOL's is at best -1.
    pub loss: f64,
    /// What the loss would be if the outputs of all images were the same, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equal_loss: Option<f64>,
    /// Standard deviation of `z / |z|`, mean over channels, both views, and the steps since the last line.
    pub z_std: f64,
    /// What it is when `z / |z|` is spread evenly over the sphere: `1 / sqrt(d)`.
    pub z_std_even: f64,
    /// Effective rank of `z / |z|`: the number of directions in which the outputs vary, at least 1.
    pub z_rank: f64,
    /// What they say together.
    pub health: Health,
    /// Top-1 accuracy of the online probe since the last line, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_top1: Option<f64>,
    /// Learning rate of encoder and projector at this step.
    pub lr: f64,
    /// Learning rate of the predictor at this step.
    pub predictor_lr: f64,
    /// Images (all their views) a second since the last line.
    pub images_per_s: f64,
    /// Share of the time since the last line spent waiting for data, 0 to 1.
    pub data_wait: f64,
    /// How the loader kept up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PipelineMetrics>,
}

/// A step whose log line, if it had one, did not show the divergence that an evaluation then found.
#[derive(Clone, Debug, Serialize)]
pub struct DivergedMetrics {
    /// Steps done.
    pub step: u64,
    /// The epoch that ended.
    pub epoch: u64,
    /// [`Health::Diverged`].
    pub health: Health,
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
    /// Top-1 accuracy of the online probe over the epoch's steps, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_top1: Option<f64>,
    /// The rule that ended the run here, before its last epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<StopRule>,
}

/// A line with the time at which it was written.
#[derive(Serialize)]
struct Stamped<'a, M> {
    #[serde(flatten)]
    metrics: &'a M,
    time: String,
}

/// The time, UTC, RFC 3339 with milliseconds.
pub fn now() -> String {
    format_rfc3339_millis(SystemTime::now()).to_string()
}

/// The file, open for appending.
pub struct MetricsLog {
    path: PathBuf,
    /// `None` where another process of the run writes it.
    file: Option<File>,
}

impl MetricsLog {
    /// Opens the log of a run that has done `step` steps and reported `epochs` epochs; what a killed run wrote beyond
    /// them is cut off, since it will be written again.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(run_dir: &RunDir, step: u64, epochs: u64) -> anyhow::Result<Self> {
        let path = run_dir.path().join(METRICS);
        if !run_dir.is_own() {
            return Ok(Self { path, file: None });
        }
        let open = || -> std::io::Result<File> {
            let keep = lines_up_to(&path, step, epochs)?;
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(keep)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { path, file: Some(file) })
    }

    /// Appends one line, with the time: UTC, RFC 3339.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, metrics: &impl Serialize) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut line = serde_json::to_string(&Stamped { metrics, time: now() })?;
        line.push('\n');
        file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
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
    let (mut keep, mut line) = (0, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        // A damaged line is kept: whoever reads the file passes it over.
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&line) {
            let is_epochs_end = value.get("loss").is_none();
            let is_done = value["step"].as_u64().is_some_and(|at| at <= step)
                && !(is_epochs_end && value["epoch"].as_u64().is_none_or(|epoch| epoch >= epochs));
            if !is_done {
                break;
            }
        }
        keep += line.len() as u64;
        line.clear();
    }
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        let line = |step| EpochMetrics {
            step,
            epoch: step,
            epoch_loss: None,
            knn_top1: Some(1.5),
            probe_top1: None,
            stopped_by: None,
        };
        let mut log = MetricsLog::open(&run, 0, 0).unwrap();
        for step in 0..5 {
            log.write(&line(step)).unwrap();
        }
        log.file.as_mut().unwrap().write_all(b"{\"step\":5,\"ep").unwrap();
        drop(log);
        // A disk's fault in the middle costs no other line.
        let path = dir.path().join("metrics.jsonl");
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, [b"\xff\xfe torn\n".as_slice(), &text].concat()).unwrap();
        let mut log = MetricsLog::open(&run, 2, 3).unwrap();
        log.write(&line(3)).unwrap();
        let text = std::fs::read(&path).unwrap();
        let text =
            str::from_utf8(text.strip_prefix(b"\xff\xfe torn\n").expect("the damaged line is kept")).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [0, 1, 2, 3]);
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let time = humantime::parse_rfc3339(line["time"].as_str().unwrap()).unwrap();
            assert!(time.elapsed().unwrap().as_secs() < 60, "{line}");
        }
    }

    #[test]
    fn an_epochs_end_that_no_checkpoint_knows_of_is_not_reported_twice() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::create(dir.path()).unwrap();
        let mut log = MetricsLog::open(&run, 0, 0).unwrap();
        log.write(&serde_json::json!({ "step": 9, "epoch": 1, "loss": -0.5 })).unwrap();
        let step_only = std::fs::metadata(&log.path).unwrap().len();
        // Killed before the checkpoint of the epoch's end; the one before is of the same step.
        log.write(&serde_json::json!({ "step": 9, "epoch": 1, "epoch_loss": -0.5 })).unwrap();
        let log = MetricsLog::open(&run, 9, 1).unwrap();
        assert_eq!(std::fs::metadata(&log.path).unwrap().len(), step_only);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut log = MetricsLog { path: "run/metrics.jsonl".into(), file: Some(file) };
        let error = log.write(&serde_json::json!({ "step": 1 })).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot write run/metrics.jsonl: No space left on device (os error 28)"
        );
    }
}
