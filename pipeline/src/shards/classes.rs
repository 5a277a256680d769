//! The names of the classes, from `classes.txt` beside the shards.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ShardError;

/// One class name a line; line `i` names label `i`.
pub(crate) const FILE_NAME: &str = "classes.txt";

/// The class names of the folders that hold `shards`; none when there are none or the folders disagree.
pub(super) fn beside(shards: &[PathBuf]) -> Result<Option<Vec<String>>, ShardError> {
    let folders: BTreeSet<&Path> = shards.iter().filter_map(|shard| shard.parent()).collect();
    let mut names: Option<Vec<String>> = None;
    for folder in folders {
        let path = folder.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ShardError::io("read", &path)(error)),
        };
        let here: Vec<String> = text.lines().map(str::to_owned).collect();
        if names.as_ref().is_some_and(|names| *names != here) {
            tracing::warn!(
                "{}: differs from the other folders' {FILE_NAME}; classes stay unnamed",
                path.display()
            );
            return Ok(None);
        }
        names = Some(here);
    }
    Ok(names)
}
