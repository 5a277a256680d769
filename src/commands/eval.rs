//! `simsiam eval`: kNN and the linear probe on networks of a run.

use std::cell::RefCell;
use std::mem;

use anyhow::{Context, Error, Result};

use crate::cli::{EvalArgs, Judge, ProbeArgs};
use crate::config::{Overrides, Preset, ShardFlags, TrainConfig};
use crate::console::{Console, Unit, counted, thousands};
use crate::data::{KnnData, Source};
use crate::error::InputError;
use crate::evaluate::class_count;
use crate::evaluate::features::{Extractor, LabelledFeatures};
use crate::evaluate::frozen::FrozenEncoder;
use crate::evaluate::knn::{KnnConfig, knn};
use crate::evaluate::probe::examples::{Examples, ProbeViews};
use crate::evaluate::probe::recipe::{ProbeOptimizer, ProbeRecipe};
use crate::evaluate::probe::{highest, probe};
use crate::evaluate::report::{Classifier, Report, SourceReport, TrialReport};
use crate::evaluate::scores::{Scores, Verdict};
use crate::evaluate::subject::Subject;
use crate::interrupt::Interrupt;

/// Judges each network, prints a line and leaves a JSON file and a picture of each result.
///
/// # Errors
/// If run, checkpoints or shards cannot be read, settings make no sense, a probe diverges, or, once all is printed, files cannot be
/// written.
pub fn run(args: &EvalArgs, console: &Console) -> Result<()> {
    refuse_idle_flags(args)?;
    let choices = args.checkpoint.iter().copied().map(Some);
    let choices = if args.checkpoint.is_empty() { vec![None] } else { choices.collect() };
    let subjects =
        choices.into_iter().map(|choice| Subject::load(&args.run, choice)).collect::<Result<Vec<_>>>()?;
    let given = Overrides {
        shards: args.train_shards.clone(),
        val_shards: args.val_shards.clone(),
        workers: args.workers,
        knn_k: args.knn_k,
        knn_temperature: args.knn_temperature,
        ..args.source.overrides()
    };
    let options = console.open_options();
    let config = subjects[0].settings(&args.run, &given, ShardFlags::EVAL, &options)?;
    let own_shards = args.train_shards.is_none();
    let data = KnnData::open(&config, &options)
        .context("the shards (--train-shards and --val-shards name others)")?;
    if own_shards {
        subjects.iter().try_for_each(|subject| subject.check_own(&data.bank.shards, "--train-shards"))?;
    }
    drop(options); // and their phase
    data.warn_of_shared();
    if own_shards && subjects.iter().any(|subject| subject.has_seen(&data)) {
        data.warn_of_seen();
    }
    let evaluation = Evaluation {
        recipe: probe_recipe(&args.probe, &config, &data.bank),
        classes: class_count(&[&data.bank.shards, &data.queries.shards])?,
        interrupt: Interrupt::listen()?,
        args,
        config,
        data,
        console,
        unsaved: RefCell::default(),
    };
    if !args.json {
        evaluation.introduce()?;
    }
    for subject in &subjects {
        evaluation.judge(subject)?;
    }
    evaluation.data.warn_of_unusable();
    evaluation.unsaved.into_inner().map_or(Ok(()), Err)
}

/// What all networks of one call are judged by.
struct Evaluation<'a> {
    args: &'a EvalArgs,
    config: TrainConfig,
    data: KnnData,
    recipe: ProbeRecipe,
    classes: usize,
    interrupt: Interrupt,
    console: &'a Console,
    /// The first error of saving a result.
    unsaved: RefCell<Option<Error>>,
}

impl Evaluation<'_> {
    /// What the probe learns from.
    fn views(&self) -> ProbeViews {
        self.args.probe.views.unwrap_or(ProbeViews::Cached)
    }

    fn introduce(&self) -> Result<()> {
        let Self { args, config, data, recipe, .. } = self;
        let mut line = format!(
            "# {}, {} of {}: {} of {} classes to learn from, {} to classify",
            config.arch,
            args.features,
            args.run.display(),
            counted(data.bank.len(), "image"),
            self.classes,
            thousands(data.queries.len())
        );
        if args.judges(Judge::Knn) {
            let k = config.knn_k.min(data.bank.len() as usize);
            line += &format!("\n# kNN: k = {k}, temperature {}", config.knn_temperature);
        }
        if args.judges(Judge::Probe) {
            line += &format!("\n# linear probe: {recipe}, {} views", self.views());
        }
        Ok(self.console.result(line)?)
    }

    fn judge(&self, subject: &Subject) -> Result<()> {
        let Self { args, config, data, .. } = self;
        let encoder = subject.freeze(args.features)?;
        let extractor = Extractor {
            encoder: &encoder,
            recipe: &config.recipe,
            workers: config.workers.count(),
            interrupt: &self.interrupt,
        };
        let features = |source: &Source| -> Result<LabelledFeatures> {
            let phase =
                self.console.phase(format!("{subject}: encoding"), source.len(), Unit::Things("images"));
            extractor.collect(source, &phase)
        };
        let augmented = self.views() == ProbeViews::Augmented;
        let has_probe = args.judges(Judge::Probe);
        let mut bank =
            if args.judges(Judge::Knn) || !augmented { features(&data.bank)? } else { Default::default() };
        let mut queries = features(&data.queries)?;
        if args.judges(Judge::Knn) {
            let votes = KnnConfig { k: config.knn_k, temperature: config.knn_temperature };
            let phase = self.console.phase(
                format!("{subject}: kNN votes"),
                data.queries.len(),
                Unit::Things("queries"),
            );
            let method =
                Classifier::Knn { k: votes.k.min(bank.labels.len()), temperature: votes.temperature };
            // What the probe needs too is copied: kNN normalises its own.
            let own_bank = if has_probe && !augmented { bank.clone() } else { mem::take(&mut bank) };
            let own_queries = if has_probe { queries.clone() } else { mem::take(&mut queries) };
            let verdicts = knn(own_bank, own_queries, votes, &phase)?;
            drop(phase);
            self.report(subject, &encoder, method, &verdicts)?;
        }
        if has_probe {
            let examples =
                if augmented { Examples::Augmented(&extractor, &data.bank) } else { Examples::Cached(&bank) };
            if examples.is_empty() {
                return Err(InputError::new("none of the training images could be used").into());
            }
            // Unusable samples may leave fewer than were counted.
            let batch_size = self.recipe.batch_size.min(examples.len());
            let recipe = ProbeRecipe { batch_size, ..self.recipe.clone() };
            let (seed, views) = (args.probe.seed.unwrap_or(config.seed), self.views());
            let images = recipe.epochs * (examples.len() / batch_size * batch_size) as u64;
            let phase = self.console.phase(format!("{subject}: probe"), images, Unit::Things("images"));
            let trials = probe(&recipe, &examples, &queries, self.classes, seed, |images| {
                phase.inc(images as u64);
                Ok(self.interrupt.check()?)
            })?;
            drop(phase);
            let (chosen, all) = (highest(&trials), trials.iter().map(TrialReport::from).collect());
            let (base_lr, best) = (chosen.base_lr, chosen.best());
            let method = Classifier::Probe { recipe, views, seed, base_lr, best, trials: all };
            self.report(subject, &encoder, method, &chosen.verdicts)?;
        }
        Ok(())
    }

    fn report(
        &self,
        subject: &Subject,
        encoder: &FrozenEncoder<'_>,
        method: Classifier,
        verdicts: &[Verdict],
    ) -> Result<()> {
        let Self { args, config, data, .. } = self;
        let names = data.queries.shards.class_names().or(data.bank.shards.class_names());
        let report = Report {
            method,
            run: subject.run_dir.clone(),
            checkpoint: subject.to_string(),
            step: subject.step,
            arch: config.arch,
            features: args.features,
            dim: encoder.dim(),
            train: SourceReport::new(&data.bank, &config.shards, config),
            val: SourceReport::new(&data.queries, config.classified(), config),
            val_in_train: data.shared(),
            scores: Scores::of(verdicts, self.classes, names),
        };
        // Said also where the run's folder cannot be written, and saved also where nobody reads it.
        let saved = report.save();
        if args.json {
            self.console.result(report.to_json()?.trim_end())?;
        } else {
            let path = saved.as_ref().map_or_else(|_| String::new(), |path| path.display().to_string());
            self.console.result(format_args!("{report}\n  {path}"))?;
        }
        if let Err(error) = saved {
            self.unsaved.borrow_mut().get_or_insert(error);
        }
        Ok(())
    }
}

/// With `--only`, settings of the other judge.
fn refuse_idle_flags(args: &EvalArgs) -> Result<(), InputError> {
    let EvalArgs { knn_k, knn_temperature, probe, .. } = args;
    let of_knn = knn_k.is_some() || knn_temperature.is_some();
    let ProbeArgs { recipe, views, epochs, batch_size, lr, schedule, seed } = probe;
    let of_probe = recipe.is_some()
        || views.is_some()
        || epochs.is_some()
        || batch_size.is_some()
        || !lr.is_empty()
        || schedule.is_some()
        || seed.is_some();
    match args.only {
        Some(Judge::Probe) if of_knn => {
            Err(InputError::new("--knn-k and --knn-temperature have no effect with --only probe"))
        }
        Some(Judge::Knn) if of_probe => Err(InputError::new("--probe-... have no effect with --only knn")),
        _ => Ok(()),
    }
}

/// The recipe that was asked for, else the one of the run's preset.
fn probe_recipe(args: &ProbeArgs, config: &TrainConfig, train: &Source) -> ProbeRecipe {
    let of_preset =
        if config.preset == Preset::Imagenet { ProbeOptimizer::Lars } else { ProbeOptimizer::Sgd };
    let named = match args.recipe.unwrap_or(of_preset) {
        ProbeOptimizer::Lars => ProbeRecipe::lars(),
        ProbeOptimizer::Sgd => ProbeRecipe::sgd(),
    };
    ProbeRecipe {
        epochs: args.epochs.unwrap_or(named.epochs),
        batch_size: args.batch_size.unwrap_or(named.batch_size).min(train.len() as usize),
        base_lrs: if args.lr.is_empty() { named.base_lrs.clone() } else { args.lr.clone() },
        schedule: args.schedule.unwrap_or(named.schedule),
        ..named
    }
}
