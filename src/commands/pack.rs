//! `simsiam pack`: an ImageFolder becomes shards.

use anyhow::Result;
use simsiam_pipeline::pack::{PackOptions, pack};

use crate::cli::PackArgs;
use crate::console::{Console, Unit, thousands};

/// Packs, and says what was written.
///
/// # Errors
/// If there is nothing to pack, shards are there already, or files cannot be read or written.
pub fn run(args: &PackArgs, console: &Console) -> Result<()> {
    let options = PackOptions {
        shard_bytes: args.shard_size << 20,
        seed: args.seed,
        max_side: args.max_side,
        quality: args.quality,
        prefix: args.prefix.clone(),
        ..PackOptions::default()
    };
    let phase = console.phase("packing", 0, Unit::Things("images"));
    let report = pack(&args.source, &args.out, &options, &mut |progress| {
        phase.set_length(progress.total);
        phase.set_position(progress.done);
    })?;
    drop(phase);
    for skipped in &report.skipped {
        console.line(format_args!("skipped {}: {}", skipped.path.display(), skipped.cause));
    }
    console.line(format_args!(
        "packed {} images of {} classes into {} shards, {} MiB, in {}{}",
        thousands(report.images),
        report.classes.len(),
        report.shards.len(),
        report.bytes >> 20,
        args.out.display(),
        if report.ignored_files > 0 {
            format!("; {} files that are no images of a class were left out", thousands(report.ignored_files))
        } else {
            String::new()
        }
    ));
    console.line(format_args!("try: simsiam inspect {} --verify", args.out.display()));
    Ok(())
}
