//! `simsiam pack`: images of any source become shards.

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::pack::{PackOptions, PackOrder, PackProgress, pack_set};

use crate::cli::{self, PackArgs, program};
use crate::console::{Console, Unit, counted};
use crate::error::InputError;
use crate::interrupt::Interrupt;
use crate::runs::text::bytes;

/// Packs, and says what was written.
///
/// # Errors
/// If there is nothing to pack, shards are there already, or files cannot be read or written.
pub fn run(args: &PackArgs, console: &Console) -> Result<()> {
    let prefix = &args.prefix;
    if prefix.is_empty() || prefix.starts_with('.') || prefix.contains(['/', '\\']) {
        let why = "must be the beginning of a file's name, without folders and with no dot in front";
        return Err(InputError::new(format!("--prefix {prefix}: {why}")).into());
    }
    if args.seed.is_some() && args.order == cli::PackedOrder::Name {
        return Err(InputError::new("--seed has no effect with --order name, which does not shuffle").into());
    }
    let set = ShardSet::open(&[&args.source], &args.images.options(console.open_options()))?;
    let chosen = args.images.choice.chosen(&set)?;
    let options = PackOptions {
        shard_bytes: args.shard_size << 20,
        order: match args.order {
            cli::PackedOrder::Shuffled => PackOrder::Shuffled { seed: args.seed.unwrap_or(0) },
            cli::PackedOrder::Name => PackOrder::Source,
        },
        max_side: args.max_side,
        quality: args.quality,
        prefix: args.prefix.clone(),
        stop: Interrupt::listen()?.flag(),
        ..PackOptions::default()
    };
    let phase = console.phase("packing", 0, Unit::Things("images"));
    let mut told = |progress: PackProgress| {
        phase.set_length(progress.total);
        phase.set_position(progress.done);
    };
    let report = pack_set(&set, chosen.as_ref(), &args.out, &options, &mut told)?;
    drop(phase);
    set.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    for skipped in report.skipped.iter().take(MOST_LISTED) {
        console.line(format_args!("left out {skipped}"));
    }
    let classes = match report.classes.len() {
        0 if set.shards().any(|shard| shard.labelled() > 0) => "with numbers as labels".to_owned(),
        0 => "without labels".to_owned(),
        1 => "of 1 class".to_owned(),
        classes => format!("of {classes} classes"),
    };
    if report.renamed > 0 {
        console.line(format_args!(
            "{} under another name than before: in a key, dots become `_`, and what has the key of another gets a number",
            counted(report.renamed, "image")
        ));
    }
    let left_out = report.left_out.as_ref().map_or_else(String::new, |list| {
        let samples = report.skipped.len() as u64;
        format!("; left out: {}, see {}", counted(samples, "sample"), list.display())
    });
    console.line(format_args!(
        "packed {} {classes} into {}, {}, in {}{left_out}",
        counted(report.images, "image"),
        counted(report.shards.len() as u64, "shard"),
        bytes(report.bytes),
        args.out.display(),
    ));
    console.line(format_args!("try: {} inspect {} --verify", program(), args.out.display()));
    Ok(())
}

/// Left-out samples that are named on the console; the list in the target folder has all.
const MOST_LISTED: usize = 10;
