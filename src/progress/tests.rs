use simsiam_model::LearningRates;
use simsiam_model::objective::Spread;

use super::*;
use crate::config::Preset;
use crate::console::{LogFormat, Verbosity};
use crate::run_dir::METRICS;

/// Steps 1, 2 and so on, with these losses.
fn reports(losses: &[f64]) -> Vec<StepReport> {
    let report = |(step, loss): (u64, &f64)| StepReport {
        loss: *loss,
        spreads: vec![Spread { std: 0.01 * step as f64, effective_rank: 5.0 }],
        ..StepReport::new(step, LearningRates::all(0.1))
    };
    (1..).zip(losses).map(report).collect()
}

/// What is told of steps that are read so many at a time, without what depends on the clock, and how it ended.
fn told(losses: &[f64], at_once: usize) -> (Vec<serde_json::Value>, Result<()>) {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::create(dir.path()).unwrap();
    let config = TrainConfig { log_every: 3, ..TrainConfig::preset(Preset::Demo) };
    let silent = Console::new(LogFormat::Text, Verbosity::Quiet);
    let mut progress = Progress::new(silent, &run, &config, 100, Counters::default()).unwrap();
    let told = reports(losses).chunks(at_once).try_for_each(|reports| {
        reports.iter().for_each(|_| progress.advance());
        progress.measured(reports)
    });
    let text = std::fs::read_to_string(dir.path().join(METRICS)).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["time", "images_per_s", "data_wait"] {
            line.as_object_mut().unwrap().remove(key);
        }
        line
    });
    (lines.collect(), told)
}

#[test]
fn steps_that_are_read_together_are_told_as_those_read_one_by_one() {
    let losses = [-0.1, -0.2, -0.4, -0.7, -0.3, -0.2, -0.5];
    let (lines, end) = told(&losses, 1);
    end.unwrap();
    assert_eq!(lines.iter().map(|line| line["step"].as_u64()).collect::<Vec<_>>(), [Some(3), Some(6)]);
    for at_once in [3, 7] {
        assert_eq!(told(&losses, at_once).0, lines);
    }
}

#[test]
fn the_first_step_that_diverges_is_named_and_none_after_it_is_told() {
    let losses = [-0.1, -0.2, -0.4, f64::NAN, -0.3, -0.2];
    for at_once in [1, 3, 6] {
        let (lines, end) = told(&losses, at_once);
        assert_eq!(end.unwrap_err().to_string(), "diverged: the loss is NaN at step 4");
        let states: Vec<_> = lines.iter().map(|line| (&line["step"], &line["health"])).collect();
        assert_eq!(states, [(&3.into(), &"healthy".into()), (&4.into(), &"diverged".into())]);
    }
}
