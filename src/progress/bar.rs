//! The bar of a run, on two lines: how far it is, and what training is like.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::console::{Console, left, per_second, thousands};
use crate::metrics::StepMetrics;

/// The bar of a run.
pub(super) struct RunBar(ProgressBar);

impl RunBar {
    /// A bar over `epochs` epochs, of which `step` steps are done.
    pub(super) fn new(console: &Console, epochs: u64, steps_per_epoch: u64, step: u64) -> Self {
        let bar = console.bar(epochs * steps_per_epoch, step, style(epochs, steps_per_epoch));
        bar.set_message(left(None));
        bar.enable_steady_tick(Duration::from_secs(1));
        Self(bar)
    }

    /// So many steps are done.
    pub(super) fn set_step(&self, step: u64) {
        self.0.set_position(step);
    }

    /// Shows what a log line says.
    pub(super) fn show(&self, metrics: &StepMetrics, seconds_left: f64) {
        self.0.set_message(left(Some(seconds_left)));
        self.0.set_prefix(measured(metrics));
    }
}

/// Two lines of at most 80 characters, each part of which keeps its width.
fn style(epochs: u64, steps_per_epoch: u64) -> ProgressStyle {
    let of = |done: u64, total: u64| {
        let total = thousands(total);
        format!("{:>width$}/{total}", thousands(done), width = total.len())
    };
    ProgressStyle::with_template("{epoch} [{wide_bar}] {step} {msg}\n{prefix}")
        .expect("the template is a literal")
        .progress_chars("=> ")
        .with_key("epoch", move |state: &ProgressState, to: &mut dyn Write| {
            let epoch = (state.pos() / steps_per_epoch + 1).min(epochs);
            let _ = write!(to, "epoch {}", of(epoch, epochs));
        })
        .with_key("step", move |state: &ProgressState, to: &mut dyn Write| {
            let _ = write!(to, "step {}", of(state.pos(), epochs * steps_per_epoch));
        })
}

fn measured(metrics: &StepMetrics) -> String {
    let StepMetrics { loss, z_std, z_rank, lr, images_per_s, data_wait, .. } = metrics;
    let (rate, waiting) = (per_second(*images_per_s), 100.0 * data_wait);
    format!(
        "loss {loss:>8.4}  z_std {z_std:>6.4}  rank {z_rank:>6.1}  lr {lr:>7.4}  {rate:>6} img/s  wait {waiting:>3.0} %"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::Screen;
    use crate::health::Health;

    #[test]
    fn both_lines_fit_80_columns_and_keep_their_width() {
        let screen = Screen::default();
        let (epochs, steps_per_epoch) = (800, 2502);
        let bar = ProgressBar::new(epochs * steps_per_epoch).with_style(style(epochs, steps_per_epoch));
        let bar = RunBar(screen.bars().add(bar));
        let metrics = |loss, z_rank, images_per_s| StepMetrics {
            step: 1,
            epoch: 1,
            loss,
            equal_loss: None,
            z_std: 0.0214,
            z_std_even: 0.0221,
            z_rank,
            health: Health::Healthy,
            probe_top1: None,
            lr: 0.03,
            predictor_lr: 0.03,
            images_per_s,
            data_wait: 0.9999,
            pipeline: None,
        };
        let mut shown = Vec::new();
        for (step, metrics, seconds) in [
            (0, metrics(-0.5, 5.9, 3.2), 3599.0),
            (2502, metrics(-0.98765, 2047.0, 54_321.0), 86_399.0),
            (epochs * steps_per_epoch, metrics(12.5, 1.0, 0.04), 1e9),
        ] {
            bar.set_step(step);
            bar.show(&metrics, seconds);
            let lines = screen.lines(&bar.0);
            assert_eq!(lines.len(), 2, "{lines:?}");
            shown.push(lines);
        }
        let places = |lines: &Vec<String>| (lines[0].find(']'), lines[0].len(), lines[1].len());
        assert_eq!(places(&shown[1]), places(&shown[0]));
        assert_eq!(places(&shown[2]), places(&shown[0]));
        let epoch = ["epoch   1/800 [", "epoch   2/800 [", "epoch 800/800 ["];
        assert!(shown.iter().zip(epoch).all(|(lines, start)| lines[0].starts_with(start)), "{shown:?}");
        assert!(shown[1][0].ends_with("step     2,502/2,001,600 23 h 59 min left"), "{shown:?}");
    }
}
