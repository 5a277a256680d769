//! `simsiam runs`: the runs under a folder, and some of them beside each other, for a terminal and for programs.

mod compare;
mod list;
pub mod text;

pub use self::compare::Comparison;
pub use self::list::RunList;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::error::InputError;
use crate::record::RunRecord;

/// A run's folder may lie so many folders below the one that is listed, as those of a study do.
const DEPTH: usize = 3;

/// The folders of runs in `dir` and below, or `dir` itself, by name. What lies in a run's folder is not looked at, nor is a folder below
/// that cannot be listed.
///
/// # Errors
/// If there is no such folder, or it cannot be listed.
pub fn find(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Err(InputError::new(format!("{}: no such folder", dir.display())).into());
    }
    let mut found = Vec::new();
    collect(dir, DEPTH, &mut found).with_context(|| format!("cannot list {}", dir.display()))?;
    Ok(found)
}

fn collect(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if RunRecord::is_run(dir) {
        found.push(dir.to_owned());
    } else if depth > 0 {
        let entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
        // A link to a folder is not followed: it could lead back.
        let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let mut below: Vec<PathBuf> =
            entries.iter().filter(|entry| is_dir(entry)).map(|entry| entry.path()).collect();
        below.sort();
        for dir in below {
            // Another's, or gone since.
            let _ = collect(&dir, depth - 1, found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_also_below_and_nothing_in_them() {
        let dir = tempfile::tempdir().unwrap();
        for run in ["b", "a/seed-1", "b/inner", "1/2/3/4"] {
            std::fs::create_dir_all(dir.path().join(run)).unwrap();
            std::fs::write(dir.path().join(run).join("config.toml"), "").unwrap();
        }
        let found = find(dir.path()).unwrap();
        assert_eq!(found, [dir.path().join("a/seed-1"), dir.path().join("b")]);
        assert_eq!(find(&dir.path().join("b")).unwrap(), [dir.path().join("b")]);
    }
}
