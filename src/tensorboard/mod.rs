//! `train --tensorboard`: event files for TensorBoard, in `RUN/tensorboard/`.
//!
//! - `events`: the file; `record`: its framing with checksums; `proto`: its messages.
//! - `snapshot`: what is shown at an epoch's end; `histogram`: distributions; `projector`: the files of the embedding projector.
//!
//! wandb's offline files are not written: their format is internal to its client, which imports these files.

mod events;
mod histogram;
mod projector;
mod proto;
mod record;
mod snapshot;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::events::EventFile;
use crate::canvas::Canvas;
use crate::evaluate::samples::Samples;
use crate::metrics::{EpochMetrics, StepMetrics};

/// A run's event file under way.
pub struct TensorBoard {
    dir: PathBuf,
    events: EventFile,
}

impl TensorBoard {
    /// Begins a file for a run that has done `step` steps. TensorBoard drops what earlier files have beyond them.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(run: &Path, step: u64) -> Result<Self> {
        let dir = run.join("tensorboard");
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let events = EventFile::create(&dir, step)?;
        Ok(Self { dir, events })
    }

    /// Writes a log line, and the gradients' norms at its step, one for each parameter tensor.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn log(&mut self, metrics: &StepMetrics, gradient_norms: &[f64]) -> Result<()> {
        let mut scalars = vec![
            ("train/loss", metrics.loss),
            ("train/z_std", metrics.z_std),
            ("train/z_rank", metrics.z_rank),
            ("train/lr", metrics.lr),
            ("train/predictor_lr", metrics.predictor_lr),
            ("speed/images_per_s", metrics.images_per_s),
            ("speed/data_wait", metrics.data_wait),
        ];
        scalars.extend(metrics.probe_top1.map(|top1| ("train/probe_top1", top1)));
        let batches = metrics.pipeline.as_ref().and_then(|pipeline| pipeline.batches());
        scalars.extend(batches.map(|queue| ("speed/batch_queue_fill", queue.fill())));
        self.events.scalars(metrics.step, &scalars)?;
        self.events.histogram(metrics.step, "gradients/norm", gradient_norms)
    }

    /// Writes what an epoch came to.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn epoch(&mut self, metrics: &EpochMetrics) -> Result<()> {
        let loss = metrics.epoch_loss.map(|loss| ("epoch/loss", loss));
        let knn = metrics.knn_top1.map(|knn| ("epoch/knn_top1", knn));
        let probe = metrics.probe_top1.map(|probe| ("epoch/probe_top1", probe));
        self.events.scalars(metrics.step, &[loss, knn, probe].into_iter().flatten().collect::<Vec<_>>())
    }

    /// Writes what training sees, and what the encoder makes of some images: a histogram of the features, and the files of the
    /// projector, which has the latest ones only.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn images(&mut self, step: u64, views: &Canvas, samples: &Samples) -> Result<()> {
        self.events.image(step, "views", views)?;
        let features: Vec<f64> = samples.features.iter().map(|value| f64::from(*value)).collect();
        self.events.histogram(step, "features/values", &features)?;
        projector::write(&self.dir, samples)
    }
}
