//! How far a run is: counts steps, averages losses, and tells the terminal, the log and the checkpoint.

mod bar;
mod in_flight;
mod pace;
mod step_report;

pub use self::in_flight::{InFlight, StepInFlight};
pub use self::step_report::StepReport;

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use simsiam_model::Backend;
use simsiam_model::network::Network;
use simsiam_pipeline::stats::{Gauges, PipelineStats};

use self::bar::RunBar;
use self::pace::Pace;
use crate::config::{Accuracies, StopRule, TrainConfig};
use crate::console::{Console, duration, per_second, thousands};
use crate::data::Data;
use crate::error::Diverged;
use crate::health::{Health, HealthRule, Seen};
use crate::interrupt::Interrupt;
use crate::metrics::{DivergedMetrics, EpochMetrics, MetricsLog, PipelineMetrics, StepMetrics};
use crate::run_dir::RunDir;
use crate::tensorboard::TensorBoard;

/// What of the progress is saved in a checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Steps done.
    pub step: u64,
    /// Epochs whose end has been reported, the untrained encoder's "epoch 0" included.
    pub epochs_reported: u64,
    /// Loss since the last log line.
    pub interval_loss: Mean,
    /// Std of `z / |z|` since the last log line.
    pub interval_z_std: Mean,
    /// Effective rank of `z / |z|` since the last log line.
    pub interval_z_rank: Mean,
    /// Loss since the epoch's start.
    pub epoch_loss: Mean,
    /// Top-1 of the online probe since the last log line, in percent.
    #[serde(default)]
    pub interval_probe: Mean,
    /// Top-1 of the online probe since the epoch's start, in percent.
    #[serde(default)]
    pub epoch_probe: Mean,
    /// kNN top-1 of the untrained encoder, in percent.
    pub first_knn: Option<f64>,
    /// Latest kNN top-1, in percent.
    pub last_knn: Option<f64>,
    /// Best kNN top-1 of the trained encoder, in percent, and its step.
    pub best_knn: Option<(f64, u64)>,
    /// Evaluations since the best; not counted by checkpoints of before there was this.
    #[serde(default)]
    pub since_best_knn: u64,
    /// The latest log line's.
    pub health: Health,
}

impl Counters {
    /// The rule that ends the run before its last epoch, and why, once an epoch is trained.
    pub fn stopped_by(&self, config: &TrainConfig) -> Option<(StopRule, String)> {
        let (last, (best, _)) = self.last_knn.zip(self.best_knn)?;
        let accuracies = Accuracies { last, best, since_best: self.since_best_knn };
        let rule = config.stop_rule(&accuracies).filter(|_| self.epochs_reported > 1)?;
        Some((rule, rule.reason(&accuracies)))
    }

    /// Whether the last of so many epochs has been reported.
    pub fn is_finished(&self, epochs: u64) -> bool {
        self.epochs_reported > epochs
    }
}

/// A running mean that can be saved and goes on exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    /// Takes in one value.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// The mean so far, and starts anew; `None` if there was no value.
    pub fn take(&mut self) -> Option<f64> {
        let Self { sum, count } = std::mem::take(self);
        (count > 0).then(|| sum / count as f64)
    }
}

/// Counts and tells.
pub struct Progress {
    counters: Counters,
    console: Console,
    metrics: MetricsLog,
    bar: RunBar,
    pace: Pace,
    config: TrainConfig,
    steps_per_epoch: u64,
    images_per_step: f64,
    rule: HealthRule,
    collapse_help: String,
    since: Instant,
    images: usize,
    waited: Duration,
    /// The loader's measurements, and what they were when the interval began.
    loader: Option<(Gauges, PipelineStats)>,
    board: Option<TensorBoard>,
}

impl Progress {
    /// Starts, or goes on, counting.
    ///
    /// # Errors
    /// If the metrics file cannot be opened.
    pub fn new(
        console: Console,
        dir: &RunDir,
        config: &TrainConfig,
        steps_per_epoch: u64,
        counters: Counters,
    ) -> Result<Self> {
        let metrics = MetricsLog::open(dir, counters.step, counters.epochs_reported)?;
        let bar = RunBar::new(&console, config.epochs, steps_per_epoch, counters.step);
        Ok(Self {
            counters,
            console,
            metrics,
            bar,
            pace: Pace::new(config, steps_per_epoch),
            config: config.clone(),
            steps_per_epoch,
            images_per_step: config.images_per_step(),
            rule: HealthRule::new(config),
            collapse_help: config.collapse_help(),
            since: Instant::now(),
            images: 0,
            waited: Duration::ZERO,
            loader: None,
            board: None,
        })
    }

    /// Log lines tell of this loader from now on.
    pub fn watch(&mut self, loader: Gauges) {
        let begun = loader.stats();
        self.loader = Some((loader, begun));
    }

    /// TensorBoard is told, too, from now on.
    pub fn tell(&mut self, board: TensorBoard) {
        self.board = Some(board);
    }

    /// Whether the next step's gradients are to be told of.
    pub fn wants_gradients(&self) -> bool {
        self.board.is_some() && (self.step() + 1).is_multiple_of(self.config.log_every)
    }

    /// Shows what training sees and what the encoder makes of it, where there is a TensorBoard.
    ///
    /// # Errors
    /// If the data cannot be read, the features are not finite, or files cannot be written.
    pub fn snapshot<D: Backend>(
        &mut self,
        model: &Network<D>,
        data: &Data,
        interrupt: &Interrupt,
    ) -> Result<()> {
        match &mut self.board {
            Some(board) => board.snapshot(model, data, &self.config, self.counters.step, interrupt),
            None => Ok(()),
        }
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.counters.step
    }

    /// Whether all steps are done and reported.
    pub fn is_finished(&self) -> bool {
        self.step() == self.config.epochs * self.steps_per_epoch
    }

    /// The rule that ends the run now, and why.
    pub fn stopped_by(&self) -> Option<(StopRule, String)> {
        self.counters.stopped_by(&self.config)
    }

    /// The number of epochs done, if that is an epoch's end which has not been reported.
    pub fn epoch_to_report(&self) -> Option<u64> {
        let epochs = self.step() / self.steps_per_epoch;
        let at_end = self.step().is_multiple_of(self.steps_per_epoch);
        (at_end && self.counters.epochs_reported == epochs).then_some(epochs)
    }

    /// What the latest log line said of the outputs.
    pub fn health(&self) -> Health {
        self.counters.health
    }

    /// Where lines and bars go.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What a checkpoint saves.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Counts a step that the device was asked for.
    pub fn advance(&mut self) {
        self.counters.step += 1;
        self.bar.set_step(self.counters.step);
    }

    /// Whether the measures of all steps so far are needed now: for a log line, or for the epoch's mean.
    pub fn needs_measures(&self) -> bool {
        self.step().is_multiple_of(self.config.log_every) || self.epoch_to_report().is_some()
    }

    /// Takes in the next steps' measures; every so often prints and writes a line.
    ///
    /// # Errors
    /// If a step diverged ([`Diverged`]), or the metrics cannot be written.
    pub fn measured(&mut self, reports: &[StepReport]) -> Result<()> {
        if let Some(estimate) = self.pace.stepped(reports.len() as u64, self.step()) {
            self.console.line(estimate);
        }
        for report in reports {
            self.note(report)?;
            if self.health() == Health::Diverged {
                let StepReport { step, loss, .. } = report;
                return Err(Diverged(format!("the loss is {loss} at step {step}")).into());
            }
        }
        Ok(())
    }

    fn note(&mut self, report: &StepReport) -> Result<()> {
        let counters = &mut self.counters;
        counters.interval_loss.add(report.loss);
        for spread in &report.spreads {
            counters.interval_z_std.add(spread.std);
            counters.interval_z_rank.add(spread.effective_rank);
        }
        counters.epoch_loss.add(report.loss);
        for top1 in &report.probe_top1 {
            counters.interval_probe.add(*top1);
            counters.epoch_probe.add(*top1);
        }
        self.images += report.images;
        self.waited += report.waited;
        let is_due = report.step.is_multiple_of(self.config.log_every) || !report.loss.is_finite();
        if is_due { self.log(report) } else { Ok(()) }
    }

    /// Notes that an evaluation found features that are not finite.
    ///
    /// # Errors
    /// If the metrics cannot be written.
    pub fn diverged(&mut self) -> Result<()> {
        let Counters { step, epochs_reported: epoch, .. } = self.counters;
        self.metrics.write(&DivergedMetrics { step, epoch, health: Health::Diverged })
    }

    /// Reports an epoch's end.
    ///
    /// # Errors
    /// If the metrics cannot be written.
    pub fn epoch_ended(&mut self, knn_top1: Option<f64>) -> Result<()> {
        let counters = &mut self.counters;
        let (step, epoch, epoch_loss) = (counters.step, counters.epochs_reported, counters.epoch_loss.take());
        let probe_top1 = counters.epoch_probe.take();
        counters.epochs_reported += 1;
        if knn_top1.is_some() {
            self.pace.evaluated();
        }
        if let Some(top1) = knn_top1 {
            counters.first_knn = counters.first_knn.or(Some(top1));
            counters.last_knn = Some(top1);
            // The untrained network is what the others are compared with.
            if step > 0 {
                let is_better = counters.best_knn.is_none_or(|(best, _)| top1 > best);
                counters.since_best_knn = if is_better { 0 } else { counters.since_best_knn + 1 };
                if is_better {
                    counters.best_knn = Some((top1, step));
                }
            }
        }
        let stopped_by =
            if epoch < self.config.epochs { self.stopped_by().map(|(rule, _)| rule) } else { None };
        let metrics = EpochMetrics { step, epoch, epoch_loss, knn_top1, probe_top1, stopped_by };
        self.metrics.write(&metrics)?;
        self.board.as_mut().map(|board| board.epoch(&metrics)).transpose()?;
        let mut parts = Vec::new();
        parts.extend(epoch_loss.map(|loss| format!("mean loss {loss:.4}")));
        parts.extend(probe_top1.map(|top1| format!("online probe {top1:.2} %")));
        parts.extend(knn_top1.map(|top1| format!("kNN top-1 {top1:.2} %")));
        if !parts.is_empty() {
            let name = if epoch == 0 {
                "untrained".into()
            } else {
                format!("epoch {epoch}/{} done", self.config.epochs)
            };
            self.console.measured("epoch", &metrics, format_args!("{name}: {}", parts.join(", ")));
        }
        self.restart_clock();
        Ok(())
    }

    /// Time that is not training's, such as an evaluation or a checkpoint, is over: rates are measured from here on.
    pub fn restart_clock(&mut self) {
        self.begin_interval();
        self.pace.restart();
    }

    fn begin_interval(&mut self) {
        self.since = Instant::now();
        self.images = 0;
        self.waited = Duration::ZERO;
        if let Some((loader, begun)) = &mut self.loader {
            *begun = loader.stats();
        }
    }

    fn log(&mut self, report: &StepReport) -> Result<()> {
        let StepReport { step, rates, equal_loss, .. } = *report;
        let elapsed = self.since.elapsed().as_secs_f64().max(1e-9);
        let counters = &mut self.counters;
        let loss = counters.interval_loss.take().unwrap_or(f64::NAN);
        let z_std = counters.interval_z_std.take().unwrap_or(f64::NAN);
        let z_rank = counters.interval_z_rank.take().unwrap_or(f64::NAN);
        let seen = Seen { loss, equal_loss, z_std, z_rank };
        let metrics = StepMetrics {
            step,
            epoch: (step - 1) / self.steps_per_epoch + 1,
            loss,
            equal_loss,
            z_std,
            z_std_even: self.rule.even_std,
            z_rank,
            health: self.rule.judge(&seen).after(counters.health),
            probe_top1: counters.interval_probe.take(),
            lr: f64::from(rates.base),
            predictor_lr: f64::from(rates.predictor),
            images_per_s: self.images as f64 / elapsed,
            data_wait: self.waited.as_secs_f64() / elapsed,
            pipeline: self
                .loader
                .as_ref()
                .map(|(loader, begun)| PipelineMetrics::of(&loader.stats().since(begun))),
        };
        self.metrics.write(&metrics)?;
        self.board.as_mut().map(|board| board.log(&metrics, &report.gradient_norms)).transpose()?;
        self.show(&metrics, &seen);
        self.begin_interval();
        Ok(())
    }

    fn show(&mut self, metrics: &StepMetrics, seen: &Seen) {
        let StepMetrics { step, epoch, loss, z_std, z_std_even, z_rank, lr, images_per_s, data_wait, .. } =
            metrics;
        let left = self.pace.seconds_left(*step, self.images_per_step / images_per_s);
        let probe = metrics.probe_top1.map_or_else(String::new, |top1| format!("  probe {top1:.1} %"));
        let text = format!(
            "loss {loss:.4}  z_std {z_std:.4} (1/sqrt(d) {z_std_even:.4})  rank {z_rank:.1}{probe}  lr {lr:.4}  {} images/s  waiting {:.1} %  {} left",
            per_second(*images_per_s),
            100.0 * data_wait,
            duration(left)
        );
        self.bar.show(metrics, left);
        if !self.console.shows_bars() {
            let steps = (thousands(*step), thousands(self.config.epochs * self.steps_per_epoch));
            let text =
                format_args!("epoch {epoch}/{}  step {}/{}  {text}", self.config.epochs, steps.0, steps.1);
            self.console.measured("step", metrics, text);
        }
        let before = std::mem::replace(&mut self.counters.health, metrics.health);
        if metrics.health != before {
            let said = self.rule.announcement(metrics.health, seen, &self.collapse_help);
            self.console.line(format_args!("{}: at step {step} {said}", metrics.health));
        }
    }
}

#[cfg(test)]
mod tests;
