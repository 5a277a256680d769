//! What a study's folder remembers of its settings, so that its runs stay comparable.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Study;
use crate::config::{Overrides, TrainConfig, difference};
use crate::error::InputError;
use crate::files::write_whole;

/// The settings that a study's runs have in common.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    study: Study,
    /// What was given: a rate that is the preset's may be another method's own, and one that was given is every method's.
    given: Overrides,
    /// What that comes to.
    settings: TrainConfig,
}

impl Remembered {
    const FILE: &str = "study.toml";

    /// # Errors
    /// If settings contradict each other.
    pub(super) fn new(study: Study, common: &Overrides) -> Result<Self, InputError> {
        // The folder that the study is run from changes nothing.
        let given = Overrides { absolute_shards: None, absolute_val_shards: None, ..common.clone() };
        let mut settings = TrainConfig::resolve(&given)?;
        (settings.absolute_shards, settings.absolute_val_shards) = (Vec::new(), Vec::new());
        Ok(Self { study, given, settings })
    }

    /// Writes these settings to a new study's folder, or compares them with those that it has.
    ///
    /// # Errors
    /// If the folder is another study's, or cannot be read or written.
    pub(super) fn check(&self, out: &Path) -> Result<()> {
        let path = out.join(Self::FILE);
        if !path.exists() {
            std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
            return write_whole(&path, toml::to_string(self)?.as_bytes());
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let before: Self = toml::from_str(&text).map_err(|error| {
            InputError::new(format!(
                "{}: {}; another --out begins a new study",
                path.display(),
                error.message()
            ))
        })?;
        let Some((key, was, is)) = before.difference(self) else { return Ok(()) };
        Err(InputError::new(format!(
            "{} holds a study with other settings: {key} was {was}, now {is}; another --out begins a new one",
            out.display()
        ))
        .into())
    }

    /// The first setting in which `now` would make other results: (key, here, there).
    fn difference(&self, now: &Self) -> Option<(String, String, String)> {
        const HARMLESS: [&str; 6] =
            ["workers", "cache_dir", "cache_size", "log_every", "checkpoint_every", "keep_checkpoints"];
        let matters = |key: &str| !HARMLESS.contains(&key);
        if self.study != now.study {
            return Some(("the study".into(), self.study.to_string(), now.study.to_string()));
        }
        difference(&self.settings, &now.settings, matters)
            .or_else(|| difference(&self.given, &now.given, matters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_of_an_earlier_version_goes_on_if_new_settings_have_their_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let study = |flags: Overrides| Remembered::new(Study::Methods, &flags).unwrap();
        study(Overrides::default()).check(dir.path()).unwrap();
        let path = dir.path().join(Remembered::FILE);
        let written = std::fs::read_to_string(&path).unwrap();
        let earlier = written.replace("sync_bn = true\n", "");
        assert_ne!(earlier, written);
        std::fs::write(&path, earlier).unwrap();
        study(Overrides { log_every: Some(7), ..Overrides::default() }).check(dir.path()).unwrap();

        let refused = |flags| study(flags).check(dir.path()).unwrap_err().to_string();
        let printed = refused(Overrides { sync_bn: Some(false), ..Overrides::default() });
        assert!(printed.contains("sync_bn was true, now false"), "{printed}");
        std::fs::write(&path, "study = 1").unwrap();
        let printed = refused(Overrides::default());
        assert!(printed.contains("study.toml") && printed.contains("another --out"), "{printed}");
    }
}
