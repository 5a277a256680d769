//! `simsiam report`: runs as one HTML file that opens offline.
//!
//! - `groups`: runs that differ only in their seeds, as one line with a band.
//! - `charts`: which quantities are drawn; `series`: their points, and how many of them are kept.
//! - `page`: the file; `tables`: its parts that are text.

mod charts;
mod groups;
mod page;
mod series;
mod tables;

pub use self::page::page;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;

use crate::record::RunRecord;

/// Reads the runs in `paths`. Where two folders have the same name, the runs are named by their paths.
///
/// # Errors
/// If one is no run's folder, or cannot be read.
pub fn read_runs(paths: &[PathBuf]) -> Result<Vec<RunRecord>> {
    let mut runs = paths.iter().map(|path| RunRecord::read(path)).collect::<Result<Vec<_>>>()?;
    let mut uses: HashMap<String, usize> = HashMap::new();
    for run in &runs {
        *uses.entry(run.name.clone()).or_default() += 1;
    }
    for run in &mut runs {
        if uses[&run.name] > 1 {
            run.name = run.path.display().to_string();
        }
    }
    Ok(runs)
}
