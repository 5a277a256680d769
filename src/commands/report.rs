//! `simsiam report`: runs as one page.

use anyhow::{Context, Result};
use simsiam_pipeline::shards::AtomicFile;

use crate::cli::ReportArgs;
use crate::console::{Console, counted};
use crate::record::RunRecord;
use crate::report;
use crate::runs::text::bytes;

/// Writes the page.
///
/// # Errors
/// If a folder is no run's (exit code 2), or a file cannot be read or written.
pub fn run(args: &ReportArgs, console: &Console) -> Result<()> {
    let runs = RunRecord::read_all(&args.runs)?;
    for run in &runs {
        run.notes.iter().for_each(|note| tracing::warn!("{}: {note}", run.path.display()));
    }
    let page = report::page(&runs)?;
    let out = args.out.display();
    AtomicFile::write_all_to(&args.out, page.as_bytes()).with_context(|| format!("cannot write {out}"))?;
    let size = bytes(page.len() as u64);
    console.result(format!("{out}: {}, {size}; open it in a browser", counted(runs.len() as u64, "run")))?;
    Ok(())
}
