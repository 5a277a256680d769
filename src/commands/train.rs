//! `simsiam train`: settles the configuration, opens data and folder, trains, and says what came of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use simsiam_model::network::Networks;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::augment::ViewGroup;
use simsiam_pipeline::shards::Fingerprint;

use crate::checkpoint::Checkpoint;
use crate::cli::TrainArgs;
use crate::commands::demo_shards;
use crate::config::{Device, Overrides, Precision, Preset, ShardFlags, TrainConfig, default_run_dir};
use crate::console::{Console, counted, thousands};
use crate::data::{Data, KnnData, Source};
use crate::device::{Work, on_device};
use crate::error::InputError;
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::progress::{Counters, Progress};
use crate::run_dir::{RunDir, saved_config};
use crate::schedule::Schedule;
use crate::serve::{Listener, Server};
use crate::tensorboard::TensorBoard;
use crate::train::{Outcome, Run, train};

/// Trains; `Interrupted` if it was asked to stop.
///
/// # Errors
/// If the input cannot work (exit code 2), or the run fails.
pub fn run(args: &TrainArgs, console: &Console) -> Result<Outcome> {
    run_until(Interrupt::listen()?, args, console)
}

/// As [`run`], but who calls it listens.
///
/// # Errors
/// As [`run`].
pub fn run_until(interrupt: Interrupt, args: &TrainArgs, console: &Console) -> Result<Outcome> {
    let sinks =
        Sinks { listener: args.serve.map(Listener::bind).transpose()?, tensorboard: args.tensorboard };
    let overrides = args.overrides.clone().over_file(args.config.as_deref())?;
    let settled = match &args.resume {
        Some(path) => resume(path, overrides)?,
        None => begin(args.run_dir.as_deref(), overrides, console)?,
    };
    let Settled { config, given, dir, .. } = &settled;
    let here = config.found_from_here(dir.path(), given, ShardFlags::TRAIN)?;
    let (device, precision) = (config.device, config.precision);
    on_device(device, precision, Training { settled, here, sinks, interrupt, console })
}

/// What is to be trained, and where.
struct Settled {
    config: TrainConfig,
    /// What of the configuration was named now, and not remembered.
    given: Overrides,
    dir: Folder,
    resumed: Option<Checkpoint>,
    /// The epochs that a run was to have before this command, where it goes on.
    epochs_before: Option<u64>,
}

/// Who else is told of the run.
struct Sinks {
    /// Where it is to be shown.
    listener: Option<Listener>,
    /// Whether there are to be event files.
    tensorboard: bool,
}

/// A run whose configuration is settled.
struct Training<'a> {
    settled: Settled,
    /// The configuration with the names of the shards as they can be opened from the current folder.
    here: TrainConfig,
    sinks: Sinks,
    interrupt: Interrupt,
    console: &'a Console,
}

impl Work for Training<'_> {
    type Output = Outcome;

    fn run<D: Networks>(self, dev: &D) -> Result<Outcome> {
        let Self { settled, here, sinks, interrupt, console } = self;
        let Settled { mut config, given, dir, resumed, epochs_before } = settled;
        let data = Data::open(&here, &console.open_options())?;
        config.remember(&here);
        data.check_memory(&config, Feed::<D>::DTYPE)?;
        let steps_per_epoch = data.steps_per_epoch(&config)?;
        let (mut run, resumed) = open(config, &given, data, dir, resumed, interrupt, console)?;
        let step = run.progress.step();
        if let Some(before) = epochs_before.filter(|before| *before != run.config.epochs) {
            console.line(new_schedule(&run.config, before, step, steps_per_epoch));
        }
        if let Some(outcome) = ended(&run) {
            conclude(console, &outcome, &run);
            return Ok(outcome);
        }
        if sinks.tensorboard {
            run.progress.tell(TensorBoard::create(run.dir.path(), step)?);
        }
        let _server = sinks.listener.map(|listener| serve(listener, &run.dir, console)).transpose()?;
        let Run { config, data, .. } = &run;
        let mut model = config.network(dev, data.train.shards.len() as usize, steps_per_epoch);
        let outcome = train(&mut model, &mut run, resumed);
        // Also where too many of them, or another error, ended the run.
        let listed = run.dir.write_quarantine(&run.data.bad_samples());
        let outcome = outcome?;
        listed?;
        conclude(console, &outcome, &run);
        Ok(outcome)
    }
}

/// Shows the run while it trains.
fn serve(listener: Listener, dir: &RunDir, console: &Console) -> Result<Server> {
    let server = listener.start(dir.path())?;
    console.line(format_args!("# live at {}", server.url()));
    Ok(server)
}

/// The outcome of a run that has nothing left to do.
fn ended(run: &Run) -> Option<Outcome> {
    let counters = run.progress.counters();
    if counters.is_finished(run.config.epochs) {
        return Some(Outcome::Finished(counters.clone()));
    }
    let (_, reason) = run.progress.stopped_by()?;
    Some(Outcome::StoppedEarly(counters.clone(), reason))
}

/// Makes or opens the folder, and says what there is.
fn open(
    config: TrainConfig,
    given: &Overrides,
    data: Data,
    dir: Folder,
    resumed: Option<Checkpoint>,
    interrupt: Interrupt,
    console: &Console,
) -> Result<(Run, Option<Checkpoint>)> {
    let dir = match dir {
        Folder::Opened(dir) => dir,
        Folder::New(path) => RunDir::create(&path)?,
    };
    let mut counters = Counters::default();
    if let Some(Checkpoint { state, .. }) = &resumed {
        let others = |which: &str| {
            let path = dir.path().display();
            InputError::new(format!(
                "cannot resume {path}: the {which} shards are not those that it began with"
            ))
        };
        let is_other = |before: &Fingerprint, source: &Source| !before.matches(&source.shards.fingerprint());
        if state.data.as_ref().is_some_and(|before| is_other(before, &data.train)) {
            return Err(others("training").into());
        }
        // One that was imported has not drawn any yet.
        if state.part.is_some() && state.population != data.train.population() {
            return Err(InputError::new(format!(
                "cannot resume {}: the training images are chosen or mixed in another way than when it began",
                dir.path().display()
            ))
            .into());
        }
        if state.part.is_some_and(|before| before != data.train.part) {
            return Err(InputError::new(format!(
                "cannot resume {}: it holds out other images for kNN than it would now, because there are labels where there were none, or \
                 the other way round; --labels says where they come from",
                dir.path().display()
            ))
            .into());
        }
        data.train.quarantine.restore(state.quarantine.iter().cloned());
        if let (Some(before), Some(val)) = (&state.val, data.val()) {
            if is_other(&before.data, val) {
                return Err(others("validation").into());
            }
            val.quarantine.restore(before.quarantine.iter().cloned());
        }
        counters = state.counters.clone();
    }
    let steps_per_epoch = data.steps_per_epoch(&config)?;
    check_epochs(&config, given, dir.path(), counters.step, steps_per_epoch)?;
    dir.write_config(&config)?;
    warn_of_memory(&config);
    data.knn.iter().for_each(KnnData::warn_of_shared);
    introduce(console, &config, &data, &dir, &counters);
    let progress = Progress::new(console.clone(), &dir, &config, steps_per_epoch, counters)?;
    Ok((Run { config, data, dir, interrupt, progress }, resumed))
}

/// A run's folder: made only once nothing can be wrong with the input any more.
enum Folder {
    New(PathBuf),
    Opened(RunDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::New(path) => path,
            Self::Opened(dir) => dir.path(),
        }
    }
}

fn begin(run_dir: Option<&Path>, overrides: Overrides, console: &Console) -> Result<Settled> {
    let mut given = with_preset(overrides, console)?;
    let mut config = TrainConfig::resolve(&given)?;
    config.check_size()?;
    let path = run_dir.map_or_else(|| default_run_dir(&config), Path::to_owned);
    RunDir::check_free(&path)?;
    if config.shards.is_empty() {
        given = demo_shards::in_place_of_none(given, console)?;
        config = TrainConfig::resolve(&given)?;
    }
    Ok(Settled { config, given, dir: Folder::New(path), resumed: None, epochs_before: None })
}

/// Settings that name shards but no preset, with the one for the encoder, or else for images of that size.
///
/// # Errors
/// If the shards cannot be opened.
pub(super) fn with_preset(settings: Overrides, console: &Console) -> Result<Overrides> {
    let Some(shards) =
        settings.shards.as_ref().filter(|shards| settings.preset.is_none() && !shards.is_empty())
    else {
        return Ok(settings);
    };
    let preset = match settings.arch {
        Some(arch) => Preset::for_arch(arch),
        None => {
            let shards = ShardSet::open(shards, &settings.open_options(console.open_options()))?;
            // A first sample that is no image is a bad sample like any other.
            Preset::for_images(&shards).unwrap_or(Preset::Imagenet)
        }
    };
    Ok(Overrides { preset: Some(preset), ..settings })
}

fn resume(path: &Path, given: Overrides) -> Result<Settled> {
    let dir = RunDir::resume(path)?;
    // A run that was killed before its first checkpoint begins again.
    let resumed = if dir.checkpoints().is_empty()? { None } else { Some(dir.checkpoints().newest()?) };
    let saved = saved_config(path)?;
    let config = saved.with(&given)?;
    let began = resumed.as_ref().map_or(&saved, |checkpoint| &checkpoint.state.config);
    if let Some((key, before, now)) = began.first_difference(&config) {
        return Err(InputError::new(format!(
            "cannot resume {} with another configuration: {key} was {before}, now {now}; a new --run-dir starts a new run",
            path.display()
        ))
        .into());
    }
    Ok(Settled { config, given, dir: Folder::Opened(dir), resumed, epochs_before: Some(saved.epochs) })
}

/// Refuses fewer epochs than a run that goes on has begun.
fn check_epochs(
    config: &TrainConfig,
    given: &Overrides,
    run: &Path,
    step: u64,
    steps_per_epoch: u64,
) -> Result<(), InputError> {
    let begun = step.div_ceil(steps_per_epoch);
    if config.epochs >= begun {
        return Ok(());
    }
    let allowed = format!(
        "must be at least {begun}, for {} has done {} of {steps_per_epoch} an epoch",
        run.display(),
        counted(step, "step")
    );
    Err(given.refusal("epochs", config.epochs, &allowed))
}

/// What becomes of the learning rate of a run that was to have `before` epochs.
fn new_schedule(config: &TrainConfig, before: u64, step: u64, steps_per_epoch: u64) -> String {
    let rate = |epochs: u64| {
        let config = TrainConfig { epochs, ..config.clone() };
        Schedule::new(&config, steps_per_epoch).at(step).base
    };
    format!(
        "# {} instead of {before}: the schedule is drawn anew over all of them; the learning rate after step {} is {:.6} instead of {:.6}",
        counted(config.epochs, "epoch"),
        thousands(step),
        rate(config.epochs),
        rate(before)
    )
}

/// A step that does not fit ends the program without a word.
fn warn_of_memory(config: &TrainConfig) {
    let mib_an_image: f64 =
        ViewGroup::sizes(&config.view_groups()).map(|size| config.arch.mib_an_image(size) / 2.0).sum();
    let of_f32 = (config.batch_size as f64 * mib_an_image * f64::from(1 << 20)) as u64;
    let needed = if config.precision == Some(Precision::Bf16) { of_f32 / 5 * 3 } else { of_f32 };
    if let Some(available) = simsiam_pipeline::available_memory()
        && config.device == Device::Cpu
        && needed > available
    {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        tracing::warn!(
            "a step of {} images with {} takes about {:.0} GiB, and {:.1} can be had: a smaller --batch-size, --arch or --preset fits",
            config.batch_size,
            config.arch,
            gib(needed),
            gib(available)
        );
    }
}

fn introduce(console: &Console, config: &TrainConfig, data: &Data, dir: &RunDir, counters: &Counters) {
    console.line(format_args!(
        "# the resolved configuration, saved in {}",
        dir.path().join("config.toml").display()
    ));
    console.line(config.to_string().trim_end());
    let knn = data.knn.as_ref().map_or("no kNN".into(), |knn| {
        format!("kNN: {} neighbours, {} queries", thousands(knn.bank.len()), thousands(knn.queries.len()))
    });
    console.line(format_args!(
        "# {} images to train on in {}; {knn}",
        thousands(data.train.len()),
        counted(data.train.shards.shards().len() as u64, "source")
    ));
    let step = thousands(counters.step);
    if counters.is_finished(config.epochs) {
        console.line(format_args!(
            "# this run is finished: {} of {} done ({step} steps), nothing is left to train",
            config.epochs,
            counted(config.epochs, "epoch")
        ));
    } else if let Some((rule, _)) = counters.stopped_by(config) {
        console.line(format_args!(
            "# this run is finished by --stop-when '{rule}', after step {step}; another rule, or `never`, lets it go on"
        ));
    } else if counters.step > 0 {
        console.line(format_args!("# goes on after step {step}"));
    }
}

fn conclude(console: &Console, outcome: &Outcome, run: &Run) {
    let (Outcome::Finished(counters)
    | Outcome::StoppedEarly(counters, _)
    | Outcome::Interrupted(counters)
    | Outcome::Collapsed(counters)) = outcome;
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
        Outcome::StoppedEarly(counters, reason) => {
            let epochs = counters.epochs_reported.saturating_sub(1);
            console.line(format_args!(
                "finished early, after epoch {epochs} of {}: {reason}",
                run.config.epochs
            ));
            console.line(format_args!("run folder: {path} (config.toml, metrics.jsonl, checkpoints)"));
        }
        Outcome::Finished(_) => {
            console.line(format_args!("run folder: {path} (config.toml, metrics.jsonl, checkpoints)"));
            if run.config.preset == Preset::Demo {
                console.line(
                    "next, your own images: cargo run -- train --shards photos/ --preset cifar10 --arch resnet8 --batch-size 64 --epochs 10",
                );
            }
        }
    }
}
