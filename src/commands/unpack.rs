//! `simsiam unpack`: shards become folders of images again.

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::unpack::{UnpackOptions, unpack};

use crate::cli::UnpackArgs;
use crate::console::{Console, Unit, counted, thousands};
use crate::interrupt::Interrupt;

/// Unpacks, and says what was written; true if nothing was left out.
///
/// # Errors
/// If the shards cannot be opened, or the folder holds something already or cannot be written.
pub fn run(args: &UnpackArgs, console: &Console) -> Result<bool> {
    let shards = ShardSet::open(&args.shards, &args.source.options(console.open_options()))?;
    let chosen = args.source.choice.chosen(&shards)?;
    let stop = Interrupt::listen()?.flag();
    let options = UnpackOptions { format: args.format.into(), chosen, stop, ..UnpackOptions::default() };
    for warning in shards.warnings() {
        tracing::warn!("{warning}");
    }
    let phase = console.phase("unpacking", 0, Unit::Things("images"));
    let report = unpack(&shards, &args.out, &options, &mut |progress| {
        phase.set_length(progress.total);
        phase.set_position(progress.done);
    })?;
    drop(phase);
    for left_out in &report.left_out {
        console.line(format_args!("left out {}: {}", left_out.at, left_out.cause));
    }
    let mut notes = vec![format!("{} without a label", thousands(report.images - report.labelled))];
    if report.renamed > 0 {
        let renamed = thousands(report.renamed);
        notes.push(format!("{renamed} under changed names (taken already, or not possible for a file)"));
    }
    if !report.left_out.is_empty() {
        notes.push(format!("{} left out", thousands(report.left_out.len() as u64)));
    }
    console.line(format_args!(
        "unpacked {} into {}: {}",
        counted(report.images, "image"),
        args.out.display(),
        notes.join(", ")
    ));
    Ok(report.left_out.is_empty())
}
