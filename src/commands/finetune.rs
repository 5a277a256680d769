//! `simsiam finetune`: what an encoder is worth where few images have labels.

use std::fmt;
use std::fs;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::finetune::{Beginning, FinetuneArgs, LabelShare};
use crate::config::{Overrides, ShardFlags};
use crate::console::{Console, counted};
use crate::data::KnnData;
use crate::error::InputError;
use crate::evaluate::class_count;
use crate::evaluate::report::SourceReport;
use crate::evaluate::scores::accuracy;
use crate::evaluate::subject::Subject;
use crate::files::write_numbered;
use crate::finetune::{FinetuneRecipe, Finetuning};
use crate::interrupt::Interrupt;

/// Trains and judges the classifiers, prints a line for each beginning, and leaves a JSON file in `RUN/finetune`.
///
/// # Errors
/// If run, file or shards cannot be read, settings make no sense, the loss is no number, or, once all is printed, files cannot be
/// written.
pub fn run(args: &FinetuneArgs, console: &Console) -> Result<()> {
    let FinetuneArgs { labels: LabelShare(share), .. } = *args;
    if let Some(decay) = args.weight_decay.filter(|decay| !(decay.is_finite() && *decay >= 0.0)) {
        return Err(
            InputError::new(format!("--weight-decay {decay}: must be a finite number, 0 or more")).into()
        );
    }
    let subject = Subject::load(&args.run, args.checkpoint)?;
    let given = Overrides {
        shards: args.train_shards.clone(),
        val_shards: args.val_shards.clone(),
        cache_dir: args.cache_dir.clone(),
        workers: args.workers,
        ..Overrides::default()
    };
    let options = console.open_options();
    let config = subject.settings(&args.run, &given, ShardFlags::EVAL, &options)?;
    let data = KnnData::open(&config, &options)
        .context("the shards (--train-shards and --val-shards name others)")?;
    if args.train_shards.is_none() {
        subject.check_own(&data.bank.shards, "--train-shards")?;
        if subject.has_seen(&data) {
            data.warn_of_seen();
        }
    }
    drop(options); // and their phase
    data.warn_of_shared();
    let (classes, interrupt) =
        (class_count(&[&data.bank.shards, &data.queries.shards])?, Interrupt::listen()?);
    let shares = (0..args.seeds).map(|seed| data.bank.share_of_labels(share, seed));
    let shares = shares.collect::<Result<Vec<_>, _>>()?;
    let (mut means, mut unsaved) = (Vec::new(), None);
    for beginning in &args.from {
        let recipe = recipe(args, *beginning, share);
        let mut top1 = Vec::new();
        for (seed, train) in (0..).zip(&shares) {
            let finetuning = Finetuning {
                train,
                val: &data.queries,
                views: &config.recipe,
                classes,
                workers: config.workers.count(),
                recipe,
                interrupt: &interrupt,
                console,
            };
            let network = match beginning {
                Beginning::Encoder => subject.network()?,
                Beginning::Scratch => subject.untrained(seed),
            };
            let what = format!("from {}, seed {seed}", name(*beginning));
            top1.push(accuracy(&finetuning.run(network, seed, &what)?, 1));
        }
        let report = FinetuneReport {
            encoder: subject.to_string(),
            arch: config.arch.to_string(),
            from: name(*beginning),
            labels: share,
            images: shares[0].len(),
            recipe,
            top1,
            train: SourceReport::new(&data.bank, &config.shards, &config),
            val: SourceReport::new(&data.queries, config.classified(), &config),
        };
        // Printed also where the run's folder cannot be written.
        if let Err(error) = report.save(&subject) {
            unsaved = unsaved.or(Some(error));
        }
        if args.json {
            console.result(serde_json::to_string(&report)?)?;
        } else {
            console.result(&report)?;
        }
        means.push((*beginning, mean(&report.top1)));
    }
    let of = |wanted| means.iter().find(|(beginning, _)| *beginning == wanted).map(|(_, mean)| mean);
    if let (Some(encoder), Some(scratch), false) = (of(Beginning::Encoder), of(Beginning::Scratch), args.json)
    {
        let margin = encoder - scratch;
        console.result(format_args!("the encoder is worth {margin:+.2} points"))?;
    }
    data.warn_of_unusable();
    unsaved.map_or(Ok(()), Err)
}

/// The recipe that was asked for. An encoder with random weights learns better at a higher rate and with decay, as in
/// supervised training; it has the same epochs.
fn recipe(args: &FinetuneArgs, beginning: Beginning, share: f64) -> FinetuneRecipe {
    let named = match beginning {
        Beginning::Encoder => FinetuneRecipe::for_share(share),
        Beginning::Scratch => {
            FinetuneRecipe { base_lr: 0.2, weight_decay: 5e-4, ..FinetuneRecipe::for_share(share) }
        }
    };
    FinetuneRecipe {
        epochs: args.epochs.unwrap_or(named.epochs),
        batch_size: args.batch_size,
        base_lr: args.base_lr.unwrap_or(named.base_lr),
        weight_decay: args.weight_decay.unwrap_or(named.weight_decay),
    }
}

fn name(beginning: Beginning) -> String {
    beginning.to_possible_value().expect("no beginning is hidden").get_name().to_owned()
}

/// What came of one beginning.
#[derive(Debug, Serialize)]
struct FinetuneReport {
    /// The encoder: the checkpoint's folder, or the file.
    encoder: String,
    arch: String,
    from: String,
    /// Share of the labels.
    labels: f64,
    /// Labelled images.
    images: u64,
    recipe: FinetuneRecipe,
    /// Top-1 accuracy on the validation images for each seed, in percent.
    top1: Vec<f64>,
    train: SourceReport,
    val: SourceReport,
}

impl FinetuneReport {
    fn save(&self, subject: &Subject) -> Result<()> {
        let dir = subject.run_dir.join("finetune");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let name = format!("{}-from-{}-{}-labels", self.encoder, self.from, self.labels as f32);
        let json = serde_json::to_string(self)? + "\n";
        write_numbered(&dir, &name, json.as_bytes(), |before| before == json.as_bytes()).map(drop)
    }
}

impl fmt::Display for FinetuneReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self
            .top1
            .iter()
            .fold((f64::MAX, f64::MIN), |(least, most), top1| (least.min(*top1), most.max(*top1)));
        write!(
            f,
            "from {:<7}  {} ({} %)  top-1 {:.2} % ({least:.2} to {most:.2} over {})",
            self.from,
            counted(self.images, "label"),
            100.0 * self.labels as f32,
            mean(&self.top1),
            counted(self.top1.len() as u64, "seed")
        )
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
