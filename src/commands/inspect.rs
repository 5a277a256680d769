//! `simsiam inspect`: counts, sizes, formats, labels; with `--verify`, every sample that does not decode; or what a flag asks
//! for instead.

mod duplicates;
mod recipe;
mod statistics;

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::inspect::{InspectOptions, inspect};
use simsiam_pipeline::sampler::SampleSet;

use crate::cli::InspectArgs;
use crate::console::{Console, Unit};
use crate::error::InputError;

/// Prints a report on shards; true if every sample looked at is good, and every shard.
///
/// # Errors
/// If the shards cannot be opened, with `--verify` if none can; or what a flag asks for cannot be had.
pub fn run(args: &InspectArgs, console: &Console) -> Result<bool> {
    if args.preset.is_some() && !args.statistics && args.recipe.is_none() {
        return Err(InputError::new("--preset goes with --statistics or --recipe").into());
    }
    if args.statistics {
        return statistics::run(args, console);
    }
    if let Some(origin) = &args.duplicates {
        return duplicates::run(args, origin, console);
    }
    if let Some(changes) = &args.recipe {
        return recipe::run(args, changes, console).map(|()| true);
    }
    let options = args.source.options(console.open_options());
    let (shards, broken) = if args.verify {
        ShardSet::open_usable(&args.shards, &options)?
    } else {
        (ShardSet::open(&args.shards, &options)?, Vec::new())
    };
    drop(options);
    let chosen = args.source.choice.chosen(&shards)?;
    let samples = chosen.as_ref().map_or(shards.len(), SampleSet::len);
    let options = InspectOptions { verify: args.verify, chosen, ..InspectOptions::default() };
    let phase = console.phase("inspecting", samples, Unit::Things("samples"));
    let mut report = inspect(&shards, &options, &mut |progress| phase.set_position(progress.done));
    drop(phase);
    report.broken_shards = broken.iter().map(ToString::to_string).collect();
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    console.result(text.trim_end())?;
    Ok(report.bad.is_empty() && report.broken_shards.is_empty())
}
