//! The paper's tables in small: many runs in turn on the same data, and the results of each beside the paper's value.

mod plot;
mod remembered;
mod report;
mod result;
mod rows;

use std::path::{Path, PathBuf};

use anyhow::Result;

use remembered::Remembered;
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
use crate::world::World;

/// What to run.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Which experiments.
    pub study: Study,
    /// Names of rows or of tables; none for all.
    pub only: Vec<String>,
    /// Runs of each row, if not its own number.
    pub seeds: Option<u64>,
}

impl Choice {
    /// Refuses names that no row and no table has.
    ///
    /// # Errors
    /// If there are any, or a row cannot be run with these settings.
    pub fn check(&self, common: &Overrides) -> Result<()> {
        self.rows(common).map(drop)
    }

    /// The rows, and whether each is to be run.
    fn rows(&self, common: &Overrides) -> Result<Vec<(Row, bool)>> {
        let mut rows = self.study.rows(common)?;
        if let Some(seeds) = self.seeds {
            let first = common.seed.unwrap_or(0);
            rows.iter_mut().for_each(|row| row.seeds = first..first.saturating_add(seeds));
        }
        let names = |row: &Row| [row.name.clone(), row.group.slug().to_owned()];
        if let Some(unknown) = self.only.iter().find(|name| !rows.iter().any(|row| names(row).contains(name)))
        {
            let mut known: Vec<_> = rows.iter().flat_map(names).collect();
            known.sort();
            known.dedup();
            let (study, known) = (self.study, known.join(", "));
            return Err(InputError::new(format!("--only {unknown}: {study} has {known}")).into());
        }
        let with_choice = |row: Row| {
            let is_chosen = self.only.is_empty() || names(&row).iter().any(|name| self.only.contains(name));
            (row, is_chosen)
        };
        Ok(rows.into_iter().map(with_choice).collect())
    }
}

/// How a study ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyOutcome {
    /// All runs are done, the report is written.
    Finished,
    /// It was interrupted and saved; the same command goes on.
    Interrupted,
}

/// Runs what is missing of the choice in `out`, with `common` settings in every run, and writes the report after each run.
///
/// # Errors
/// If a run's input cannot work, or files cannot be written. A run that diverges is a result, not an error.
pub fn run(
    choice: &Choice,
    common: &Overrides,
    out: &Path,
    interrupt: &Interrupt,
    console: &Console,
) -> Result<StudyOutcome> {
    let rows = that_fit(choice.rows(common)?, common, console)?;
    Remembered::new(choice.study, common)?.check(out)?;
    let total: u64 =
        rows.iter().filter(|(_, chosen)| *chosen).map(|(row, _)| row.seeds.end - row.seeds.start).sum();
    let dir = |row: &Row, seed: u64| out.join("runs").join(format!("{}-seed{seed}", row.slug()));
    let finished = |row: &Row| -> Vec<RunResult> {
        let seeds =
            (row.seeds.start..).take_while(|seed| row.seeds.contains(seed) || dir(row, *seed).exists());
        let found = seeds.filter_map(|seed| RunResult::read(&dir(row, seed)).ok());
        found.filter(|result| result.is_final).collect()
    };
    let mut done = 0;
    for (row, _) in rows.iter().filter(|(_, is_chosen)| *is_chosen) {
        for seed in row.seeds.clone() {
            done += 1;
            console.line(format_args!("# run {done} of {total}: {}, seed {seed}", row.name));
            let settings = Overrides { seed: Some(seed), ..row.flags.over(common) };
            if interrupt.is_set() || !one_run(&dir(row, seed), settings, interrupt, console)? {
                console.line(format_args!(
                    "# the same study command goes on with this run and those that are missing"
                ));
                return Ok(StudyOutcome::Interrupted);
            }
            // With all that earlier studies left here.
            let results = rows.iter().map(|(row, _)| (row.clone(), finished(row)));
            let results: Vec<_> = results.filter(|(_, runs)| !runs.is_empty()).collect();
            report::write(out, choice.study, common, &results)?;
        }
    }
    console.line(format_args!("report: {}", out.join("report.md").display()));
    Ok(StudyOutcome::Finished)
}

/// Leaves out the rows whose batches are larger than the data.
fn that_fit(rows: Vec<(Row, bool)>, common: &Overrides, console: &Console) -> Result<Vec<(Row, bool)>> {
    let config = TrainConfig::resolve(common)?;
    let here = config.found_from_here(Path::new(""), common, ShardFlags::TRAIN)?;
    let data = Data::open(&here, &console.open_options())?;
    let mut fitting = Vec::new();
    for (row, is_chosen) in rows {
        match data.steps_per_epoch(&TrainConfig::resolve(&row.flags.over(common))?) {
            Ok(_) => fitting.push((row, is_chosen)),
            Err(error) if is_chosen => {
                console.line(format_args!("# left out: {}: {error:#}", row.name));
            }
            Err(_) => (),
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
        serve: None,
        tensorboard: false,
        rank_timeout: TrainArgs::RANK_TIMEOUT_S,
    };
    match train::run_until(interrupt.clone(), &args, console, &World::default()) {
        Ok(Outcome::Finished(_) | Outcome::StoppedEarly(..) | Outcome::Collapsed(_)) => Ok(true),
        Ok(Outcome::Interrupted(_)) => Ok(false),
        Err(error) if error.is::<Diverged>() => Ok(true),
        Err(error) => Err(error),
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
        let images =
            demo::generate(&dir.path().join("images"), &of_demo, &Interrupt::default(), &mut |_, _| ())
                .unwrap();
        let shards = dir.path().join("shards");
        pack(images.train.to_str().unwrap(), &shards, &PackOptions::default(), &mut |_| ()).unwrap();
        let common = Overrides {
            preset: Some(Preset::Demo),
            shards: Some(vec![shards.to_string_lossy().into_owned()]),
            batch_size: Some(16),
            ..Overrides::default()
        };
        let names = |rows: &[(Row, bool)]| rows.iter().map(|(row, _)| row.name.clone()).collect::<Vec<_>>();
        let all = Choice { study: Study::Ablations, only: Vec::new(), seeds: None };
        let rows = all.rows(&common).unwrap();
        let all = names(&rows);
        // A tenth of the 100 images is held out.
        let fitting = names(&that_fit(rows, &common, &Console::default()).unwrap());
        let left_out: Vec<_> = all.into_iter().filter(|name| !fitting.contains(name)).collect();
        assert_eq!(left_out, ["batch 128", "batch 256", "batch 512", "batch 1024"]);
    }
}
