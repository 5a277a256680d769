//! `simsiam train`: settles the configuration, opens data and folder, trains, and says how it ended.

mod messages;

use std::path::{Path, PathBuf};

use anyhow::Result;
use simsiam_model::network::Networks;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::shards::Fingerprint;

use self::messages::{conclude, introduce, new_schedule, say_what_bf16_gains, warn_of_memory};
use crate::checkpoint::Checkpoint;
use crate::cli::TrainArgs;
use crate::commands::demo_shards;
use crate::config::{Overrides, Preset, ShardFlags, TrainConfig, default_run_dir};
use crate::console::{Console, counted};
use crate::data::{Data, KnnData, Source};
use crate::device::{self, Work, on_device};
use crate::dry_run::{Plan, Trial};
use crate::error::InputError;
use crate::feed::Feed;
use crate::interrupt::Interrupt;
use crate::online_probe::OnlineProbe;
use crate::progress::{Counters, Progress};
use crate::provenance::Provenance;
use crate::run_dir::{RunDir, saved_config};
use crate::serve::{Listener, Server};
use crate::tensorboard::TensorBoard;
use crate::trace::{self, Tracing};
use crate::train::{Outcome, Run, train};
use crate::world::World;

/// Trains; `Interrupted` if it was asked to stop.
///
/// # Errors
/// If the input cannot work (exit code 2), or the run fails.
pub fn run(args: &TrainArgs, console: &Console, world: &World) -> Result<Outcome> {
    run_until(Interrupt::listen()?, args, console, world)
}

/// As [`run`], but who calls it listens.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    interrupt: Interrupt,
    args: &TrainArgs,
    console: &Console,
    world: &World,
) -> Result<Outcome> {
    // The demo's images are made by the first process.
    let (settled, here) = world.in_turn(|| {
        let settled = settle(args, &interrupt, console, world)?;
        let here = settled.found_from_here()?;
        world.check(&here)?;
        Ok((settled, here))
    })?;
    let sinks = world.agree(Sinks::open(args, world))?;
    let (device, precision) = (here.device, here.precision);
    on_device(device, precision, Training { settled, here, sinks, interrupt, console, world })
}

/// What a run is to be: a new one, or one that goes on.
fn settle(args: &TrainArgs, interrupt: &Interrupt, console: &Console, world: &World) -> Result<Settled> {
    let overrides = args.overrides.clone().over_file(args.config.as_deref())?;
    match &args.resume {
        Some(path) => resume(path, overrides, world),
        None => begin(args.run_dir.as_deref(), overrides, interrupt, console, world),
    }
}

/// Prints the configuration that a run would have, and makes none.
///
/// # Errors
/// As [`run`], as far as settings show.
pub fn show_config(args: &TrainArgs, console: &Console) -> Result<()> {
    let settled = settle(args, &Interrupt::listen()?, console, &World::default())?;
    console.result(settled.config.to_string().trim_end())?;
    Ok(())
}

/// Says what a run would take, and makes none.
///
/// # Errors
/// As [`run`], as far as a few steps show.
pub fn dry_run(args: &TrainArgs, console: &Console) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let overrides = args.overrides.clone().over_file(args.config.as_deref())?;
    let settled = begin(args.run_dir.as_deref(), overrides, &interrupt, console, &World::default())?;
    let here = settled.found_from_here()?;
    if args.show_config {
        console.result(settled.config.to_string().trim_end())?;
    }
    let _until_the_end = args.trace.as_deref().map(trace::start).transpose()?;
    let data = Data::open(&here, &console.open_options())?;
    let (device, precision) = (here.device, here.precision);
    let plan: Plan = on_device(device, precision, Trial { config: here, data, interrupt })?;
    let mut plan = format!("{} would be made:\n{plan}", settled.dir.path().display());
    if args.show_config {
        // All that is printed is a configuration.
        plan = format!("# {}", plan.trim_end().replace('\n', "\n# "));
    }
    console.result(plan)?;
    Ok(())
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

/// Who else is told of the run: by the first process.
struct Sinks {
    /// Where it is to be shown.
    listener: Option<Listener>,
    /// Whether there are to be event files.
    tensorboard: bool,
    /// Written until the end.
    _trace: Option<Tracing>,
}

impl Sinks {
    fn open(args: &TrainArgs, world: &World) -> Result<Self> {
        if !world.is_first() {
            return Ok(Self { listener: None, tensorboard: false, _trace: None });
        }
        Ok(Self {
            listener: args.serve.map(Listener::bind).transpose()?,
            tensorboard: args.tensorboard,
            _trace: args.trace.as_deref().map(trace::start).transpose()?,
        })
    }
}

impl Settled {
    /// The configuration with the names of the shards as they can be opened from the current folder.
    fn found_from_here(&self) -> Result<TrainConfig> {
        Ok(self.config.found_from_here(self.dir.path(), &self.given, ShardFlags::TRAIN)?)
    }
}

/// A run whose configuration is settled.
struct Training<'a> {
    settled: Settled,
    /// The configuration with the names of the shards as they can be opened from the current folder.
    here: TrainConfig,
    sinks: Sinks,
    interrupt: Interrupt,
    console: &'a Console,
    world: &'a World,
}

impl Work for Training<'_> {
    type Output = Outcome;

    fn run<D: Networks>(self, dev: &D) -> Result<Outcome> {
        let Self { settled, here, sinks, interrupt, console, world } = self;
        let Settled { mut config, given, dir, resumed, epochs_before } = settled;
        config.remember(&here);
        // Indexes that are missing are written by the first process.
        let data = world.in_turn(|| {
            let data = Data { share: world.share(), ..Data::open(&here, &console.open_options())? };
            data.check_memory(&config, Feed::<D>::DTYPE)?;
            OnlineProbe::check_labels(&config, &data.train)?;
            Ok(data)
        })?;
        let steps_per_epoch = data.steps_per_epoch(&config)?;
        world.check_same(|| in_common(&config, &data, resumed.as_ref()))?;
        let opened = open(config, &given, data, dir, resumed, interrupt, console, world);
        let (mut run, resumed) = world.agree(opened)?;
        console.begin_log_of_others();
        let step = run.progress.step();
        if let Some(before) = epochs_before.filter(|before| *before != run.config.epochs) {
            console.line(new_schedule(&run.config, before, step, steps_per_epoch));
        }
        if let Some(outcome) = ended(&run) {
            conclude(console, &outcome, &run);
            return Ok(outcome);
        }
        run.dir.add_provenance(&run.provenance)?;
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

/// What all processes of a run must have, by name.
fn in_common(config: &TrainConfig, data: &Data, resumed: Option<&Checkpoint>) -> [(&'static str, String); 5] {
    let val = data.val().map(|val| val.shards.fingerprint().to_string());
    [
        ("program", Provenance::now().program()),
        ("configuration", config.in_common()),
        ("set of training images", data.train.shards.fingerprint().to_string()),
        ("set of validation images", val.unwrap_or_else(|| "none".into())),
        ("checkpoint to go on with", resumed.map_or_else(|| "none".into(), Checkpoint::name)),
    ]
}

/// Makes or opens the folder, and says what there is.
#[expect(clippy::too_many_arguments, reason = "what has been settled, once")]
fn open(
    config: TrainConfig,
    given: &Overrides,
    data: Data,
    dir: Folder,
    resumed: Option<Checkpoint>,
    interrupt: Interrupt,
    console: &Console,
    world: &World,
) -> Result<(Run, Option<Checkpoint>)> {
    let dir = match dir {
        Folder::Opened(dir) => dir,
        Folder::New(path) if world.is_first() => RunDir::create(&path)?,
        Folder::New(path) => RunDir::of_first(&path),
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
    warn_of_memory(&config, world.size());
    say_what_bf16_gains(&config, console);
    data.knn.iter().for_each(KnnData::warn_of_shared);
    introduce(console, &config, &data, &dir, &counters, world.size());
    let (step, fingerprint) = (counters.step, data.train.shards.fingerprint());
    let provenance =
        Provenance { processes: world.size(), step, data: Some(fingerprint), ..Provenance::now() };
    let progress = Progress::new(console.clone(), &dir, &config, steps_per_epoch, counters)?;
    let world = world.clone();
    Ok((Run { config, data, dir, interrupt, progress, provenance, world, stop_after: None }, resumed))
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

fn begin(
    run_dir: Option<&Path>,
    overrides: Overrides,
    interrupt: &Interrupt,
    console: &Console,
    world: &World,
) -> Result<Settled> {
    let mut given = with_preset(overrides, console)?;
    let mut config = TrainConfig::resolve(&given)?;
    config.check_size()?;
    device::check(config.device)?;
    let path = run_dir.map_or_else(|| default_run_dir(&config), Path::to_owned);
    if world.is_first() {
        RunDir::check_free(&path)?;
    }
    if config.shards.is_empty() {
        given = demo_shards::in_place_of_none(given, interrupt, console)?;
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
            Preset::for_images(&shards)
        }
    };
    Ok(Overrides { preset: Some(preset), ..settings })
}

fn resume(path: &Path, given: Overrides, world: &World) -> Result<Settled> {
    let dir = if world.is_first() { RunDir::resume(path)? } else { RunDir::of_first(path) };
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
