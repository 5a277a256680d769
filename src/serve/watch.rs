//! The runs in a folder and below, read again when their files change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::record::RunRecord;
use crate::run_dir::{CONFIG, METRICS, PROVENANCE, QUARANTINE, RunDir};
use crate::runs::find;

/// What of a run's folder is looked at: when one of these changes, the run is read again.
const LOOKED_AT: [&str; 6] = [CONFIG, METRICS, "checkpoints", "eval", QUARANTINE, PROVENANCE];

/// The runs below a folder.
pub(super) struct Watch {
    /// Without links in it.
    root: PathBuf,
    runs: Vec<Seen>,
    version: u64,
}

/// A run as it was last read.
struct Seen {
    path: PathBuf,
    stamp: Stamp,
    /// `None` if it cannot be read.
    record: Option<RunRecord>,
}

/// Tells whether files have changed: when each was written, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    files: [Option<(SystemTime, u64)>; LOOKED_AT.len()],
    is_locked: bool,
}

impl Watch {
    /// A folder of runs, or a run's folder. Nothing is read yet.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| format!("cannot open {}", root.display()))?;
        Ok(Self { root, runs: Vec::new(), version: 0 })
    }

    /// Looks at the folder again; a number that is another one after every change.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub(super) fn refresh(&mut self) -> Result<u64> {
        let mut before = std::mem::take(&mut self.runs);
        let found = find(&self.root)?;
        let mut has_changed = found.len() != before.len();
        for path in found {
            let stamp = Stamp::of(&path);
            let known = before.iter().position(|seen| seen.path == path && seen.stamp == stamp);
            if let Some(known) = known {
                self.runs.push(before.swap_remove(known));
            } else {
                has_changed = true;
                let record = self.read(&path);
                self.runs.push(Seen { path, stamp, record });
            }
        }
        self.version += u64::from(has_changed);
        Ok(self.version)
    }

    /// The runs with these names, or all of them if none is given.
    pub(super) fn runs(&self, names: &[String]) -> Vec<&RunRecord> {
        let records = self.runs.iter().filter_map(|seen| seen.record.as_ref());
        records.filter(|run| names.is_empty() || names.contains(&run.name)).collect()
    }

    /// Reads a run, which is named by its path below the root. One that cannot be read is left out with a warning.
    fn read(&self, path: &Path) -> Option<RunRecord> {
        if let Some(name) = LOOKED_AT.iter().find(|name| self.leads_out(&path.join(name))) {
            tracing::warn!(
                "{}: left out, since its {name} is a link that leads out of the folder",
                path.display()
            );
            return None;
        }
        match RunRecord::read(path) {
            Ok(mut run) => {
                let below = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
                if !below.is_empty() {
                    run.name = below.into_owned();
                }
                Some(run)
            }
            Err(error) => {
                tracing::warn!("{}: left out: {error:#}", path.display());
                None
            }
        }
    }

    fn leads_out(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|real| !real.starts_with(&self.root))
    }
}

impl Stamp {
    fn of(run: &Path) -> Self {
        let file = |name: &str| {
            let metadata = fs::metadata(run.join(name)).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self { files: LOOKED_AT.map(file), is_locked: RunDir::is_locked(run) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_run(dir: &Path) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(CONFIG), "epochs = 2\n").unwrap();
        fs::write(dir.join(METRICS), "{\"step\":1,\"epoch\":1,\"loss\":0.5,\"health\":\"healthy\"}\n")
            .unwrap();
    }

    #[test]
    fn a_run_is_read_again_only_when_its_files_change() {
        let dir = tempfile::tempdir().unwrap();
        write_run(&dir.path().join("a"));
        let mut watch = Watch::new(dir.path()).unwrap();
        let first = watch.refresh().unwrap();
        assert_eq!(watch.refresh().unwrap(), first);
        fs::write(dir.path().join("a").join(METRICS), "").unwrap();
        let second = watch.refresh().unwrap();
        assert_ne!(second, first);
        assert_eq!(watch.runs(&[])[0].last_loss(), None);
        write_run(&dir.path().join("study/b"));
        assert_ne!(watch.refresh().unwrap(), second);
        let names: Vec<&str> = watch.runs(&[]).iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["a", "study/b"]);
        fs::remove_dir_all(dir.path().join("a")).unwrap();
        watch.refresh().unwrap();
        assert_eq!((watch.runs(&[]).len(), watch.runs(&["a".into()]).len()), (1, 0));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_of_the_folder_is_not_followed() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_run(&elsewhere.path().join("secret"));
        let run = dir.path().join("a");
        fs::create_dir(&run).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("secret").join(CONFIG), run.join(CONFIG)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("secret"), dir.path().join("b")).unwrap();
        let mut watch = Watch::new(dir.path()).unwrap();
        watch.refresh().unwrap();
        assert!(watch.runs(&[]).is_empty());
    }
}
