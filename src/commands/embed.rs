//! `simsiam embed`: the features of shards as a file.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::cli::EmbedArgs;
use crate::config::{BadSamplePolicy, Overrides, ShardFlags};
use crate::console::{Console, Unit, counted};
use crate::data::Source;
use crate::embed::embed;
use crate::evaluate::features::Extractor;
use crate::evaluate::subject::Subject;
use crate::interrupt::Interrupt;

/// Writes the file, and says how many rows it has.
///
/// # Errors
/// If run or shards cannot be read, or the file cannot be written.
pub fn run(args: &EmbedArgs, console: &Console) -> Result<()> {
    let subject = Subject::load(&args.run, args.checkpoint)?;
    let (shards, workers) = (args.shards.clone(), args.workers);
    // What cannot be used is left out and counted, however much it is.
    let (on_bad_sample, bad_sample_budget) = (Some(BadSamplePolicy::Skip), Some(1.0));
    let given = Overrides { shards, workers, on_bad_sample, bad_sample_budget, ..args.source.overrides() };
    let options = console.open_options();
    let config = subject.settings(&args.run, &given, ShardFlags::EMBED, &options)?;
    let source = Source::open_chosen(&config.shards, &config, &options)?;
    drop(options); // and their phase
    let interrupt = Interrupt::listen()?;
    if args.shards.is_none() {
        subject.check_own(&source.shards, "--shards")?;
    }
    let encoder = subject.freeze(args.features)?;
    let metadata = [
        ("arch", config.arch.to_string()),
        ("checkpoint", subject.to_string()),
        ("features", args.features.to_string()),
        ("run", args.run.display().to_string()),
        ("shards", config.shards.join(" ")),
    ];
    let metadata: BTreeMap<_, _> = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    let extractor = Extractor {
        encoder: &encoder,
        recipe: &config.recipe,
        workers: config.workers.count(),
        interrupt: &interrupt,
    };
    let phase = console.phase("encoding", source.len(), Unit::Things("images"));
    let kept = embed(&extractor, &source, &args.out, &metadata, &phase)?;
    drop(phase);
    let left_out = source.len() - kept.len();
    console.line(format_args!(
        "{} of {} values ({subject}, {}) in {}{}",
        counted(kept.len(), "embedding"),
        encoder.dim(),
        args.features,
        args.out.display(),
        if left_out > 0 {
            format!("; left out: {}", counted(left_out, "unusable sample"))
        } else {
            String::new()
        }
    ));
    source.warn_of_unusable();
    Ok(())
}
