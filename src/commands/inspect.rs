//! `simsiam inspect`: counts, sizes, formats, labels; with `--verify`, every sample that does not decode.

use std::io::{self, Write};

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::inspect::{InspectOptions, inspect};
use simsiam_pipeline::shards::OpenOptions;

use crate::cli::InspectArgs;
use crate::console::Console;

/// Prints a report on shards; true if every sample looked at is good, and every shard.
///
/// # Errors
/// If the shards cannot be opened; with `--verify`, if none can.
pub fn run(args: &InspectArgs, console: &Console) -> Result<bool> {
    let options = OpenOptions::default();
    let (shards, broken) = if args.verify {
        ShardSet::open_usable(&args.shards, &options)?
    } else {
        (ShardSet::open(&args.shards, &options)?, Vec::new())
    };
    let options = InspectOptions { verify: args.verify, ..InspectOptions::default() };
    let bar = console.bar(shards.len(), 0, "{wide_bar} {pos}/{len} samples  {msg}");
    let mut report = inspect(&shards, &options, &mut |progress| {
        bar.set_position(progress.done);
        bar.set_message(format!("{} bad", progress.bad));
    });
    bar.finish_and_clear();
    report.broken_shards = broken.iter().map(ToString::to_string).collect();
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(report.bad.is_empty() && report.broken_shards.is_empty())
}
