//! From patterns to the paths of shards.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{ShardError, is_image};

#[cfg(feature = "remote")]
pub(crate) use self::braces::expand as expand_braces;

mod braces;
mod wids;

/// What patterns name.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Each once, sorted by path.
    pub(super) shards: Vec<PathBuf>,
    /// Compressed tars in folders that are patterns, which are no shards.
    pub(super) compressed: Vec<PathBuf>,
}

/// The shards that `patterns` name.
pub(super) fn resolve<P: AsRef<str>>(patterns: &[P]) -> Result<Resolved, ShardError> {
    if patterns.is_empty() {
        return Err(ShardError::NoPatterns);
    }
    let mut found = Resolved::default();
    for pattern in patterns {
        let pattern = pattern.as_ref();
        // A file whose name has braces in it is taken at its word.
        if Path::new(pattern).exists() {
            expand(pattern, &mut found)?;
            continue;
        }
        let expanded = braces::expand(pattern)
            .map_err(|cause| ShardError::BadPattern { pattern: pattern.to_owned(), cause })?;
        for path in expanded {
            expand(&path, &mut found)?;
        }
    }
    let Resolved { shards, mut compressed } = found;
    // What was decompressed beside it is there.
    compressed.retain(|path| !shards.contains(&path.with_extension("")));
    compressed.sort();
    Ok(Resolved { shards: sort_once_each(shards)?, compressed })
}

/// The shards of a pattern without braces: a file, a list of files, a folder or a glob.
fn expand(pattern: &str, found: &mut Resolved) -> Result<(), ShardError> {
    let path = Path::new(pattern);
    let before = (found.shards.len(), found.compressed.len());
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => tars_in(path, found)?,
        Ok(_) if wids::is_index(path) => found.shards.extend(wids::shards(path)?),
        Ok(_) => found.shards.push(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return Err(dangling(path));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !pattern.contains(['*', '?', '[']) {
                return Err(ShardError::NotFound { path: path.to_owned() });
            }
            glob(pattern, found)?;
        }
        Err(error) => return Err(ShardError::io("open", path)(error)),
    }
    if found.shards.len() > before.0 {
        return Ok(());
    }
    let compressed = &found.compressed[before.1..];
    if let Some(first) = compressed.iter().min() {
        let (path, first) = (path.to_owned(), first.clone());
        return Err(ShardError::Compressed { path, tars: compressed.len(), first });
    }
    if holds_images(path) || entries(path).any(|entry| holds_images(&entry)) {
        return Err(ShardError::NotPacked { path: path.to_owned() });
    }
    Err(ShardError::NoMatch { pattern: pattern.to_owned() })
}

fn tars_in(folder: &Path, found: &mut Resolved) -> Result<(), ShardError> {
    for entry in fs::read_dir(folder).map_err(ShardError::io("list", folder))? {
        let path = entry.map_err(ShardError::io("list", folder))?.path();
        if is_compressed_tar(&path) {
            found.compressed.push(path);
        } else if is_tar(&path)? {
            found.shards.push(path);
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

/// Only `.tar` files: `train-*` is not to match the indexes beside the shards. As in a shell, `*` matches no name that begins with
/// a dot.
fn glob(pattern: &str, found: &mut Resolved) -> Result<(), ShardError> {
    let bad = |error: glob::PatternError| ShardError::BadPattern {
        pattern: pattern.to_owned(),
        cause: format!("{} at character {}", error.msg, error.pos),
    };
    refuse_unmatched(pattern)?;
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    for entry in glob::glob_with(pattern, options).map_err(bad)? {
        let path = entry.map_err(|error| {
            let path = error.path().to_owned();
            ShardError::io("list", &path)(error.into())
        })?;
        if is_tar(&path)? {
            found.shards.push(path);
        }
    }
    Ok(())
}

/// Whether a folder's entry is a shard by its name. Whatever else than a folder has such a name is meant to be one.
fn is_tar(path: &Path) -> Result<bool, ShardError> {
    let has_name = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"));
    if !has_name || is_hidden(path) {
        return Ok(false);
    }
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(dangling(path)),
        Err(error) => Err(ShardError::io("open", path)(error)),
    }
}

fn is_compressed_tar(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let compressed = [".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.lz4"];
    !is_hidden(path) && compressed.iter().any(|end| name.ends_with(end))
}

/// Names that begin with a dot are those of files that are being written, or of the system.
fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".")
}

fn dangling(path: &Path) -> ShardError {
    let target = fs::read_link(path).unwrap_or_default();
    ShardError::Dangling { path: path.to_owned(), target }
}

/// Refuses shards that a glob cannot name: the crate passes over names that are not UTF-8, without a word.
fn refuse_unmatched(pattern: &str) -> Result<(), ShardError> {
    let folder = Path::new(pattern).parent().and_then(Path::to_str).filter(|folder| !folder.is_empty());
    let folders = glob::glob(folder.unwrap_or(".")).into_iter().flatten().flatten();
    let not_utf_8 = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().is_none());
    match folders
        .flat_map(|folder| entries(&folder).collect::<Vec<_>>())
        .find(|path| not_utf_8(path) && is_tar(path).unwrap_or(true))
    {
        Some(path) => {
            let why = "no glob can, because its name is not UTF-8; name the folder instead";
            Err(ShardError::io("match", &path)(io::Error::new(io::ErrorKind::InvalidInput, why)))
        }
        None => Ok(()),
    }
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
