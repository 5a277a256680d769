//! `simsiam runs`: lists runs, or compares some.

use anyhow::Result;
use serde::Serialize;

use crate::cli::{RunsArgs, RunsCommand};
use crate::console::Console;
use crate::record::RunRecord;
use crate::runs::{Comparison, RunList, find};

/// Prints the list, or the comparison.
///
/// # Errors
/// If a folder is none, or no run's where one is asked for (exit code 2), or cannot be read.
pub fn run(args: &RunsArgs, console: &Console) -> Result<()> {
    match &args.command {
        Some(RunsCommand::Compare { runs, json }) => {
            let comparison = Comparison::of(&RunRecord::read_all(runs)?);
            print(&comparison, *json, console)
        }
        None => {
            let runs = RunRecord::read_usable(&find(&args.dir)?);
            if runs.is_empty() && !args.json {
                console.result(format!("no run in {}", args.dir.display()))?;
                return Ok(());
            }
            print(&RunList::of(&runs), args.json, console)
        }
    }
}

fn print(what: &(impl Serialize + std::fmt::Display), json: bool, console: &Console) -> Result<()> {
    let text = if json { serde_json::to_string_pretty(what)? } else { what.to_string() };
    console.result(text.trim_end())?;
    Ok(())
}
