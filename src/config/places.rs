//! Where files are: a run goes on from another folder. It remembers absolute paths of shards beside those that were typed, and of
//! labels, lists of keys and the cache alone.

use std::path::Path;

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::shards::{Labels, OpenOptions, ShardError};

use super::{Overrides, TrainConfig};
use crate::error::InputError;

/// The flags by which a command is told of other shards, for its errors.
#[derive(Clone, Copy, Debug)]
pub struct ShardFlags {
    /// Of the training shards.
    pub train: &'static str,
    /// Of the validation shards; `None` where the command has no use for them.
    pub val: Option<&'static str>,
}

impl ShardFlags {
    /// `train`'s.
    pub const TRAIN: Self = Self { train: "--shards", val: Some("--val-shards") };
    /// `eval`'s.
    pub const EVAL: Self = Self { train: "--train-shards", val: Some("--val-shards") };
    /// `embed`'s.
    pub const EMBED: Self = Self { train: "--shards", val: None };
}

impl TrainConfig {
    /// Notes where the shards are that `overrides` names, and makes its other paths absolute.
    pub(super) fn place(&mut self, overrides: &Overrides) {
        let remembered = |typed: &Option<Vec<String>>, absolute: &Option<Vec<String>>| {
            typed.as_ref().map(|typed| absolute.clone().unwrap_or_else(|| absolute_patterns(typed)))
        };
        if let Some(absolute) = remembered(&overrides.shards, &overrides.absolute_shards) {
            self.absolute_shards = absolute;
        }
        if let Some(absolute) = remembered(&overrides.val_shards, &overrides.absolute_val_shards) {
            self.absolute_val_shards = absolute;
        }
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Some(Labels::Table(path)) = &overrides.labels {
            self.labels = Labels::Table(absolute(path));
        }
        if let Some(folder) = &overrides.cache_dir {
            self.cache_dir = Some(absolute(folder));
        }
        if overrides.select.is_some() {
            // What cannot be read is refused later.
            self.select =
                self.choice().with_lists(absolute).map_or(self.select.clone(), |choice| choice.select);
        }
    }

    /// This configuration with the shards' names as they are to be opened from the current folder: as they were typed where
    /// that is the folder they were typed in; else the absolute ones, or if these are gone, what the typed ones mean here.
    /// What `given` names is left to be opened, or refused, by that name.
    ///
    /// # Errors
    /// If there are no training shards, or those that the run in `run` remembers are in neither place; run and flag are named.
    pub fn found_from_here(
        &self,
        run: &Path,
        given: &Overrides,
        flags: ShardFlags,
    ) -> Result<Self, InputError> {
        let gone = |which: &str, error: &ShardError, flag: &str| {
            InputError::new(format!(
                "run {}: its {which} shards are gone: {error}; {flag} says where they are now",
                run.display()
            ))
        };
        let mut here = self.clone();
        if self.shards.is_empty() {
            let text = format!("run {} has no shards: {} names some", run.display(), flags.train);
            return Err(InputError::new(text));
        }
        let options = self.open_options(&OpenOptions::default());
        match found(&self.shards, &self.absolute_shards, &options) {
            Ok(shards) => here.shards = shards,
            Err(error) if given.shards.is_none() => return Err(gone("training", &error, flags.train)),
            Err(_) => {}
        }
        match (found(&self.val_shards, &self.absolute_val_shards, &options), flags.val) {
            (Ok(shards), _) => here.val_shards = shards,
            (Err(error), Some(flag)) if given.val_shards.is_none() => {
                return Err(gone("validation", &error, flag));
            }
            (Err(_), _) => {}
        }
        Ok(here)
    }

    /// Remembers where the shards were found; `here` is of [`found_from_here`](Self::found_from_here).
    pub fn remember(&mut self, here: &Self) {
        self.absolute_shards = absolute_patterns(&here.shards);
        self.absolute_val_shards = absolute_patterns(&here.val_shards);
    }
}

/// The first of both lists that names shards.
fn found(typed: &[String], absolute: &[String], options: &OpenOptions) -> Result<Vec<String>, ShardError> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let typed_here = absolute.is_empty() || absolute_patterns(typed) == absolute;
    let first = if typed_here { typed } else { absolute };
    match ShardSet::paths(first, options) {
        Ok(_) => Ok(first.to_vec()),
        Err(_) if !typed_here && ShardSet::paths(typed, options).is_ok() => Ok(typed.to_vec()),
        Err(error) => Err(error),
    }
}

/// Patterns as any folder understands them; one that no text can be made of stays as it is.
fn absolute_patterns(patterns: &[String]) -> Vec<String> {
    patterns.iter().map(|pattern| absolute(pattern).unwrap_or_else(|| pattern.clone())).collect()
}

fn absolute(pattern: &str) -> Option<String> {
    if pattern.contains("://") {
        return None;
    }
    let folder = std::env::current_dir().ok()?.into_os_string().into_string().ok()?;
    // In the folder's name, such characters would become a part of the pattern.
    let is_plain = !folder.contains(['*', '?', '[', '{']) || Path::new(pattern).exists();
    is_plain.then(|| std::path::absolute(pattern).ok()?.into_os_string().into_string().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::shards::ShardWriter;

    use super::*;
    use crate::config::Preset;

    #[test]
    fn shards_are_found_by_either_name_and_missed_with_run_and_flag() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(&dir.path().join("a.tar")).unwrap();
        writer.append("0", "jpg", b"image", None).unwrap();
        writer.finish().unwrap();
        let place = dir.path().join("*.tar").to_str().unwrap().to_owned();
        let config = |typed: &str, absolute: &str| TrainConfig {
            shards: vec![typed.into()],
            absolute_shards: vec![absolute.into()],
            ..TrainConfig::preset(Preset::Demo)
        };
        let open = |config: &TrainConfig, given: &Overrides| {
            let here = config.found_from_here(Path::new("runs/1"), given, ShardFlags::EMBED)?;
            Ok::<_, InputError>(here.shards[0].clone())
        };
        let none = Overrides::default();
        assert_eq!(open(&config("elsewhere/*.tar", &place), &none).unwrap(), place);
        assert_eq!(open(&config(&place, "/elsewhere/*.tar"), &none).unwrap(), place);
        let gone = config("elsewhere/*.tar", "/elsewhere/*.tar");
        let expected = "run runs/1: its training shards are gone: /elsewhere/*.tar: matches no image, and no .tar, .zip or .parquet file; --shards says where they are now";
        assert_eq!(open(&gone, &none).unwrap_err().to_string(), expected);
        let given = Overrides { shards: Some(gone.shards.clone()), ..none };
        assert_eq!(open(&gone, &given).unwrap(), "elsewhere/*.tar");
    }

    #[test]
    fn other_files_are_remembered_by_absolute_paths() {
        let given = "labels = \"table.csv\"\ncache_dir = \"cache\"\nselect = \"key in list.txt\"";
        let config = TrainConfig::resolve(&Overrides::parse(given).unwrap().0).unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(config.labels, Labels::Table(here.join("table.csv")));
        assert_eq!(config.cache_dir, Some(here.join("cache")));
        assert_eq!(config.select, Some(format!("key in '{}'", here.join("list.txt").display())));
    }

    #[test]
    fn patterns_become_absolute_as_text() {
        let here = std::env::current_dir().unwrap();
        let found = absolute_patterns(&["a/{x,y}-*.tar".into(), "/b/./c".into()]);
        assert_eq!(found, [here.join("a/{x,y}-*.tar").to_str().unwrap(), "/b/c"]);
    }
}
