//! From patterns to the paths of shards.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ShardError, is_image};

mod braces;
mod wids;

/// The shards that `patterns` name: each once, sorted by path.
pub(super) fn resolve<P: AsRef<str>>(patterns: &[P]) -> Result<Vec<PathBuf>, ShardError> {
    if patterns.is_empty() {
        return Err(ShardError::NoPatterns);
    }
    let mut paths = Vec::new();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        // A file whose name has braces in it is taken at its word.
        if Path::new(pattern).exists() {
            expand(pattern, &mut paths)?;
            continue;
        }
        let expanded = braces::expand(pattern)
            .map_err(|cause| ShardError::BadPattern { pattern: pattern.to_owned(), cause })?;
        for path in expanded {
            expand(&path, &mut paths)?;
        }
    }
    sort_once_each(paths)
}

/// The shards of a pattern without braces: a file, a list of files, a folder or a glob.
fn expand(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), ShardError> {
    let path = Path::new(pattern);
    let before = paths.len();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => tars_in(path, paths)?,
        Ok(_) if wids::is_index(path) => paths.extend(wids::shards(path)?),
        Ok(_) => paths.push(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !pattern.contains(['*', '?', '[']) {
                return Err(ShardError::NotFound { path: path.to_owned() });
            }
            glob(pattern, paths)?;
        }
        Err(error) => return Err(ShardError::io("open", path)(error)),
    }
    if paths.len() > before {
        return Ok(());
    }
    if holds_images(path) || entries(path).any(|entry| holds_images(&entry)) {
        return Err(ShardError::NotPacked { path: path.to_owned() });
    }
    Err(ShardError::NoMatch { pattern: pattern.to_owned() })
}

fn tars_in(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), ShardError> {
    for entry in fs::read_dir(folder).map_err(ShardError::io("list", folder))? {
        let path = entry.map_err(ShardError::io("list", folder))?.path();
        if is_tar(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn holds_images(folder: &Path) -> bool {
    let is_image = |path: PathBuf| {
        let extension = path.extension().unwrap_or_default();
        is_image(extension.as_encoded_bytes()) && path.is_file()
    };
    entries(folder).any(is_image)
}

/// What can be listed of a folder; nothing of anything else.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Only `.tar` files: `train-*` is not to match the indexes beside the shards.
fn glob(pattern: &str, paths: &mut Vec<PathBuf>) -> Result<(), ShardError> {
    let bad = |error: glob::PatternError| ShardError::BadPattern {
        pattern: pattern.to_owned(),
        cause: format!("{} at character {}", error.msg, error.pos),
    };
    refuse_unmatched(pattern)?;
    for entry in glob::glob(pattern).map_err(bad)? {
        let path = entry.map_err(|error| {
            let path = error.path().to_owned();
            ShardError::io("list", &path)(error.into())
        })?;
        if is_tar(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

/// Refuses shards that a glob cannot name: the crate passes over names that are not UTF-8, without a word.
fn refuse_unmatched(pattern: &str) -> Result<(), ShardError> {
    let folder = Path::new(pattern).parent().and_then(Path::to_str).filter(|folder| !folder.is_empty());
    let folders = glob::glob(folder.unwrap_or(".")).into_iter().flatten().flatten();
    let not_utf_8 = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().is_none());
    match folders
        .flat_map(|folder| entries(&folder).collect::<Vec<_>>())
        .find(|path| not_utf_8(path) && is_tar(path))
    {
        Some(path) => {
            let why = "no glob can, because its name is not UTF-8; name the folder instead";
            Err(ShardError::io("match", &path)(io::Error::new(io::ErrorKind::InvalidInput, why)))
        }
        None => Ok(()),
    }
}

fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar")) && path.is_file()
}

/// Sorts by the folder's real path and the file's name, so that `./a.tar` and `/data/a.tar` have the same
/// place, and drops files that are listed twice, under whatever name.
fn sort_once_each(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, ShardError> {
    let mut keyed = Vec::with_capacity(paths.len());
    for path in paths {
        let real = fs::canonicalize(&path).map_err(ShardError::io("open", &path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(ShardError::io("open", folder))?;
        let order = folder.join(path.file_name().unwrap_or_default());
        keyed.push((order, real, path));
    }
    keyed.sort();
    let mut seen = HashSet::new();
    keyed.retain(|(_, real, _)| seen.insert(real.clone()));
    Ok(keyed.into_iter().map(|(_, _, path)| path).collect())
}

#[cfg(test)]
mod tests;
