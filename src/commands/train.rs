//! `simsiam train`: settles the configuration, opens data and folder, trains, and says what came of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use simsiam_model::network::Networks;

use crate::checkpoint::Checkpoint;
use crate::cli::TrainArgs;
use crate::commands::demo_shards;
use crate::config::{Overrides, Preset, TrainConfig, default_run_dir};
use crate::console::{Console, thousands};
use crate::data::Data;
use crate::device::{Work, on_device};
use crate::error::InputError;
use crate::interrupt::Interrupt;
use crate::progress::{Counters, Progress};
use crate::run_dir::{RunDir, saved_config};
use crate::train::{Outcome, Run, train};

/// Trains; `Interrupted` if it was asked to stop.
///
/// # Errors
/// If the input cannot work (exit code 2), or the run fails.
pub fn run(args: &TrainArgs, console: &Console) -> Result<Outcome> {
    let overrides = match &args.config {
        Some(path) => args.overrides.clone().over(&Overrides::from_file(path)?)?,
        None => args.overrides.clone(),
    };
    let interrupt = Interrupt::listen()?;
    let (config, dir, resumed) = match &args.resume {
        Some(path) => resume(path, &overrides)?,
        None => begin(args.run_dir.as_deref(), overrides, console)?,
    };
    let (device, precision) = (config.device, config.precision);
    on_device(device, precision, Training { config, dir, resumed, interrupt, console })
}

/// A run whose configuration is settled.
struct Training<'a> {
    config: TrainConfig,
    dir: Folder,
    resumed: Option<Checkpoint>,
    interrupt: Interrupt,
    console: &'a Console,
}

impl Work for Training<'_> {
    type Output = Outcome;

    fn run<D: Networks>(self, dev: &D) -> Result<Outcome> {
        let Self { config, dir, resumed, interrupt, console } = self;
        let (mut run, resumed) = open(config, dir, resumed, interrupt, console)?;
        let Run { config, data, .. } = &run;
        let (images, steps_per_epoch) = (data.train.shards.len() as usize, data.steps_per_epoch(config)?);
        let mut model = config.network(dev, images, steps_per_epoch);
        let outcome = train(model.as_mut(), &mut run, resumed);
        // Also where too many of them, or another error, ended the run.
        let listed = run.dir.write_quarantine(&run.data.bad_samples());
        let outcome = outcome?;
        listed?;
        conclude(console, &outcome, &run);
        Ok(outcome)
    }
}

/// Opens data and folder, and says what they are.
fn open(
    config: TrainConfig,
    dir: Folder,
    resumed: Option<Checkpoint>,
    interrupt: Interrupt,
    console: &Console,
) -> Result<(Run, Option<Checkpoint>)> {
    let data = Data::open(&config)?;
    let dir = match dir {
        Folder::Opened(dir) => dir,
        Folder::New(path) => RunDir::create(&path)?,
    };
    let mut counters = Counters::default();
    if let Some(Checkpoint { state, .. }) = &resumed {
        if state.data != data.train.shards.fingerprint() {
            return Err(InputError::new(format!(
                "cannot resume {}: the training shards are not those that it began with",
                dir.path().display()
            ))
            .into());
        }
        data.train.quarantine.restore(state.quarantine.iter().cloned());
        counters = state.counters.clone();
    }
    dir.write_config(&config)?;
    introduce(console, &config, &data, &dir, counters.step);
    let progress = Progress::new(console.clone(), &dir, &config, data.steps_per_epoch(&config)?, counters)?;
    Ok((Run { config, data, dir, interrupt, progress }, resumed))
}

/// A run's folder: made only once nothing can be wrong with the input any more.
enum Folder {
    New(PathBuf),
    Opened(RunDir),
}

fn begin(
    run_dir: Option<&Path>,
    overrides: Overrides,
    console: &Console,
) -> Result<(TrainConfig, Folder, Option<Checkpoint>)> {
    let mut config = TrainConfig::resolve(&overrides)?;
    config.check_size()?;
    let path = run_dir.map_or_else(|| default_run_dir(&config), Path::to_owned);
    RunDir::check_free(&path)?;
    if config.shards.is_empty() {
        if config.preset != Preset::Demo {
            return Err(InputError::new(
                "no shards to train on: --shards names them, or --preset demo makes some",
            )
            .into());
        }
        (config.shards, config.val_shards) = demo_shards::prepare(console)?;
    }
    Ok((config, Folder::New(path), None))
}

fn resume(path: &Path, overrides: &Overrides) -> Result<(TrainConfig, Folder, Option<Checkpoint>)> {
    let dir = RunDir::resume(path)?;
    // A run that was killed before its first checkpoint begins again.
    let checkpoint = if dir.checkpoints().is_empty()? { None } else { Some(dir.checkpoints().newest()?) };
    let saved = saved_config(path)?;
    let config = saved.with(overrides)?;
    let began = checkpoint.as_ref().map_or(&saved, |checkpoint| &checkpoint.state.config);
    if let Some((key, before, now)) = began.first_difference(&config) {
        return Err(InputError::new(format!(
            "cannot resume {} with another configuration: {key} was {before}, now {now}; a new --run-dir starts a new run",
            path.display()
        ))
        .into());
    }
    Ok((config, Folder::Opened(dir), checkpoint))
}

fn introduce(console: &Console, config: &TrainConfig, data: &Data, dir: &RunDir, step: u64) {
    console.line(format_args!(
        "# the resolved configuration, saved in {}",
        dir.path().join("config.toml").display()
    ));
    console.line(config.to_string().trim_end());
    let knn = data.knn.as_ref().map_or("no kNN".into(), |knn| {
        format!("kNN: {} neighbours, {} queries", thousands(knn.bank.len()), thousands(knn.queries.len()))
    });
    console.line(format_args!(
        "# {} images to train on in {} shards; {knn}",
        thousands(data.train.len()),
        data.train.shards.shards().len()
    ));
    if step > 0 {
        console.line(format_args!("# goes on after step {}", thousands(step)));
    }
}

fn conclude(console: &Console, outcome: &Outcome, run: &Run) {
    let (Outcome::Finished(counters) | Outcome::Interrupted(counters) | Outcome::Collapsed(counters)) =
        outcome;
    let path = run.dir.path().display();
    let bad = run.data.bad_samples().len();
    if bad > 0 {
        console.line(format_args!("{bad} samples were unusable: see {path}/quarantine.json"));
    }
    if let (Some(first), Some(last), Some((best, _))) =
        (counters.first_knn, counters.last_knn, counters.best_knn)
    {
        console.line(format_args!(
            "kNN top-1 (backbone features): {first:.2} % untrained, {last:.2} % now, {best:.2} % at best"
        ));
    }
    match outcome {
        Outcome::Interrupted(_) => {
            console.line(format_args!("interrupted and saved; go on with: simsiam train --resume {path}"));
        }
        Outcome::Collapsed(_) => {
            console.line(format_args!("stopped after the collapse, and saved in {path}"));
        }
        Outcome::Finished(_) => {
            console.line(format_args!("run folder: {path} (config.toml, metrics.jsonl, checkpoints)"));
            if run.config.preset == Preset::Demo {
                console.line(
                    "next, your own images: cargo run -- pack FOLDER_OF_CLASS_FOLDERS shards && \\\n  \
                     cargo run -- train --shards shards --preset cifar10 --arch resnet8 --batch-size 64 --epochs 10",
                );
            }
        }
    }
}
