//! `simsiam inspect`: counts, sizes, formats, labels; with `--verify`, every sample that does not decode.

use std::io::{self, Write};

use anyhow::Result;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::inspect::{InspectOptions, inspect};
use simsiam_pipeline::shards::OpenOptions;

use crate::cli::InspectArgs;
use crate::console::Console;

/// Prints a report on shards; true if every sample looked at is good.
///
/// # Errors
/// If the shards cannot be opened.
pub fn run(args: &InspectArgs, console: &Console) -> Result<bool> {
    let shards = ShardSet::open(&args.shards, &OpenOptions::default())?;
    let options = InspectOptions { verify: args.verify, ..InspectOptions::default() };
    let bar = console.bar(shards.len(), 0, "{wide_bar} {pos}/{len} samples  {msg}");
    let report = inspect(&shards, &options, &mut |progress| {
        bar.set_position(progress.done);
        bar.set_message(format!("{} bad", progress.bad));
    });
    bar.finish_and_clear();
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    Ok(report.bad.is_empty())
}
