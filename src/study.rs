//! The paper's tables in small: many runs in turn on the same data, and what came of each beside the paper's value.

mod plot;
mod report;
mod result;
mod rows;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use simsiam_pipeline::shards::AtomicFile;

pub use result::RunResult;
pub use rows::{Group, Row, Study};

use crate::cli::TrainArgs;
use crate::commands::train;
use crate::config::{Overrides, ShardFlags, TrainConfig};
use crate::console::Console;
use crate::data::Data;
use crate::error::{Diverged, InputError};
use crate::interrupt::Interrupt;
use crate::run_dir::RunDir;
use crate::train::Outcome;

/// How a study ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyOutcome {
    /// All runs are done, the report is written.
    Finished,
    /// It was interrupted and saved; the same command goes on.
    Interrupted,
}

/// Runs what is missing of `study` in `out`, with `common` settings in every run, and writes the report after each run.
///
/// # Errors
/// If a run's input cannot work, or files cannot be written. A run that diverges is a result, not an error.
pub fn run(study: Study, common: &Overrides, out: &Path, console: &Console) -> Result<StudyOutcome> {
    let interrupt = Interrupt::listen()?;
    let rows = that_fit(study.rows(common)?, common, console)?;
    check_same_settings(out, study, common)?;
    let total: usize = rows.iter().map(|row| row.seeds.len()).sum();
    let (mut results, mut done) = (Vec::new(), 0);
    for row in rows {
        let mut of_row = Vec::new();
        for &seed in &row.seeds {
            done += 1;
            console.line(format_args!("# run {done} of {total}: {}, seed {seed}", row.name));
            let dir = out.join("runs").join(format!("{}-seed{seed}", row.slug()));
            let settings = Overrides { seed: Some(seed), ..row.flags.over(common) };
            if interrupt.is_set() || !one_run(&dir, settings, &interrupt, console)? {
                return Ok(StudyOutcome::Interrupted);
            }
            of_row.push(RunResult::read(&dir)?);
        }
        results.push((row, of_row));
        report::write(out, study, common, &results)?;
    }
    console.line(format_args!("report: {}", out.join("report.md").display()));
    Ok(StudyOutcome::Finished)
}

/// Leaves out the rows whose batches are larger than the data.
fn that_fit(rows: Vec<Row>, common: &Overrides, console: &Console) -> Result<Vec<Row>> {
    let config = TrainConfig::resolve(common)?;
    let here = config.found_from_here(Path::new(""), common, ShardFlags::TRAIN)?;
    let data = Data::open(&here, &console.open_options())?;
    let mut fitting = Vec::new();
    for row in rows {
        match data.steps_per_epoch(&TrainConfig::resolve(&row.flags.over(common))?) {
            Ok(_) => fitting.push(row),
            Err(error) => console.line(format_args!("# left out: {}: {error:#}", row.name)),
        }
    }
    Ok(fitting)
}

/// Begins, or goes on with, or skips a run. False if it was interrupted.
fn one_run(dir: &Path, settings: Overrides, interrupt: &Interrupt, console: &Console) -> Result<bool> {
    if RunResult::read(dir).is_ok_and(|result| result.is_final) {
        return Ok(true);
    }
    let begun = RunDir::check_free(dir).is_err();
    let place = |wanted: bool| wanted.then(|| PathBuf::from(dir));
    let args = TrainArgs {
        overrides: if begun { Overrides::default() } else { settings },
        config: None,
        show_config: false,
        trace: None,
        dry_run: false,
        run_dir: place(!begun),
        resume: place(begun),
    };
    match train::run_until(interrupt.clone(), &args, console) {
        Ok(Outcome::Finished(_) | Outcome::StoppedEarly(..) | Outcome::Collapsed(_)) => Ok(true),
        Ok(Outcome::Interrupted(_)) => Ok(false),
        Err(error) if error.is::<Diverged>() => Ok(true),
        Err(error) => Err(error),
    }
}

/// A study's folder remembers its settings, those that were given and what they come to, so that its runs stay comparable.
fn check_same_settings(out: &Path, study: Study, common: &Overrides) -> Result<()> {
    let path = out.join("study.toml");
    // Workers change the speed only, and the folder that the study is run from changes nothing.
    let common =
        Overrides { workers: None, absolute_shards: None, absolute_val_shards: None, ..common.clone() };
    let given = toml::to_string(&common)?.replace('\n', "\n# ");
    let mut resolved = TrainConfig::resolve(&common)?;
    (resolved.absolute_shards, resolved.absolute_val_shards) = (Vec::new(), Vec::new());
    let settings = format!("# {study}, given:\n# {given}\n{resolved}");
    match std::fs::read_to_string(&path) {
        Ok(before) if before == settings => Ok(()),
        Ok(_) => Err(InputError::new(format!(
            "{} holds a study with other settings ({}); another --out begins a new one",
            out.display(),
            path.display()
        ))
        .into()),
        Err(_) => {
            std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
            AtomicFile::write_all_to(&path, settings.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::pack::{PackOptions, pack};

    use super::*;
    use crate::config::Preset;
    use crate::demo::{self, DemoConfig};

    #[test]
    fn rows_whose_batches_are_larger_than_the_data_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let of_demo = DemoConfig { train_per_class: 10, val_per_class: 1, ..DemoConfig::default() };
        let images = demo::generate(&dir.path().join("images"), &of_demo, &mut |_, _| ()).unwrap();
        let shards = dir.path().join("shards");
        pack(&images.train, &shards, &PackOptions::default(), &mut |_| ()).unwrap();
        let common = Overrides {
            preset: Some(Preset::Demo),
            shards: Some(vec![shards.to_string_lossy().into_owned()]),
            batch_size: Some(16),
            ..Overrides::default()
        };
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        let rows = Study::Ablations.rows(&common).unwrap();
        let all = names(&rows);
        // A tenth of the 100 images is held out.
        let fitting = names(&that_fit(rows, &common, &Console::default()).unwrap());
        let left_out: Vec<_> = all.into_iter().filter(|name| !fitting.contains(name)).collect();
        assert_eq!(left_out, ["batch 128", "batch 256", "batch 512", "batch 1024"]);
    }
}
