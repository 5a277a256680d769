//! Resolves patterns to the paths of shards.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::remote::RemoteShards;
use super::{OpenOptions, ShardError};
use crate::sampler::MixtureSet;
use crate::sources;

#[cfg(feature = "remote")]
pub(crate) use self::braces::expand as expand_braces;

mod braces;
mod remote;
mod wids;

/// What patterns name.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Shards, and folders of images: each once, sorted by path within a set.
    pub(super) shards: Vec<PathBuf>,
    /// Compressed tars in folders that are patterns, which are no shards.
    pub(super) compressed: Vec<PathBuf>,
    /// Images that lie beside shards in folders that are patterns, and are not used.
    pub(super) images_beside: Vec<PathBuf>,
    /// What of the shards is not on this machine.
    pub(super) remote: RemoteShards,
    /// The sets of a mixture and how many shards each has; these follow each other. None where the patterns have no weights.
    pub(super) sets: Vec<(MixtureSet, usize)>,
}

/// The shards that `patterns` name: one set of them all, or where they have weights (`photos/=0.7`), a set for each.
pub(super) fn resolve<P: AsRef<str>>(patterns: &[P], options: &OpenOptions) -> Result<Resolved, ShardError> {
    if patterns.is_empty() {
        return Err(ShardError::NoPatterns);
    }
    let patterns: Vec<(&str, Option<f64>)> =
        patterns.iter().map(|pattern| weighted(pattern.as_ref())).collect();
    let mut found = Resolved { remote: RemoteShards::new(options), ..Resolved::default() };
    if patterns.iter().all(|(_, weight)| weight.is_none()) {
        for (pattern, _) in patterns {
            expand_pattern(pattern, &mut found)?;
        }
        found.shards = sort_once_each(found.shards)?;
    } else {
        resolve_sets(&patterns, &mut found)?;
    }
    let Resolved { shards, compressed, .. } = &mut found;
    // What was decompressed beside it is there.
    compressed.retain(|path| !shards.contains(&path.with_extension("")));
    compressed.sort();
    Ok(found)
}

/// A pattern, and the number behind its last `=`, if that is not a part of a file's name or of a URL's query.
fn weighted(pattern: &str) -> (&str, Option<f64>) {
    let is_query = |before: &str| before.contains("://") && before.contains('?');
    let parts =
        pattern.rsplit_once('=').filter(|(before, _)| !is_query(before) && !Path::new(pattern).exists());
    let weight = parts.and_then(|(pattern, weight)| Some((pattern, weight.parse().ok()?)));
    weight.map_or((pattern, None), |(pattern, weight)| (pattern, Some(weight)))
}

/// The sets of a mixture, one behind the other.
fn resolve_sets(patterns: &[(&str, Option<f64>)], found: &mut Resolved) -> Result<(), ShardError> {
    let mut all = Vec::new();
    for &(pattern, weight) in patterns {
        let bad =
            |cause: &str| ShardError::BadPattern { pattern: pattern.to_owned(), cause: cause.to_owned() };
        let weight = weight.ok_or_else(|| bad("has no weight, where others have one (a/=0.7 b/=0.3)"))?;
        expand_pattern(pattern, found)?;
        let own = sort_once_each(std::mem::take(&mut found.shards))?;
        if let Some(twice) = own.iter().find(|path| all.contains(*path)) {
            return Err(bad(&format!("{} is in another set of the mixture, too", twice.display())));
        }
        let set = MixtureSet { name: pattern.to_owned(), weight };
        found.sets.push((set, own.len()));
        all.extend(own);
    }
    found.shards = all;
    Ok(())
}

fn expand_pattern(pattern: &str, found: &mut Resolved) -> Result<(), ShardError> {
    if let Some(command) = pattern.strip_prefix("pipe:") {
        let cause =
            format!("commands are not run; `{} > shard.tar` makes a file of what it gives", command.trim());
        return Err(ShardError::BadPattern { pattern: pattern.to_owned(), cause });
    }
    if remote::is_url(pattern) {
        found.shards.extend(found.remote.list(pattern)?);
        return Ok(());
    }
    // A file whose name has braces in it is taken at its word.
    if Path::new(pattern).exists() {
        return expand(pattern, found);
    }
    let expanded = braces::expand(pattern)
        .map_err(|cause| ShardError::BadPattern { pattern: pattern.to_owned(), cause })?;
    expanded.iter().try_for_each(|path| expand(path, found))
}

/// The shards of a pattern without braces: a file, a list of files, a folder of shards or of images, or a glob.
fn expand(pattern: &str, found: &mut Resolved) -> Result<(), ShardError> {
    let path = Path::new(pattern);
    let before = (found.shards.len(), found.compressed.len());
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => shards_in(path, found)?,
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
    Err(ShardError::NoMatch { pattern: pattern.to_owned(), below: folder_of_shards(path) })
}

/// The first folder with shards in a folder, as `data/` in a clone of a Hugging Face data set.
fn folder_of_shards(folder: &Path) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        entries(folder).filter(|path| !is_hidden(path) && path.is_dir()).collect();
    folders.sort();
    folders.into_iter().find(|folder| entries(folder).any(|path| is_shard(&path).unwrap_or(false)))
}

/// The shards in a folder; of a folder without any, but with images, the folder itself.
fn shards_in(folder: &Path, found: &mut Resolved) -> Result<(), ShardError> {
    let (shards, compressed) = (found.shards.len(), found.compressed.len());
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).map_err(ShardError::io("list", folder))? {
        let path = entry.map_err(ShardError::io("list", folder))?.path();
        if is_compressed_tar(&path) {
            found.compressed.push(path);
        } else if is_shard(&path)? {
            found.shards.push(path);
        } else if images.is_empty() && sources::is_image_file(&path) {
            images.push(path);
        }
    }
    if found.shards.len() > shards {
        found.images_beside.append(&mut images);
    } else if found.compressed.len() == compressed && sources::holds_images(folder) {
        found.shards.push(folder.to_owned());
    }
    Ok(())
}

/// What can be listed of a folder; nothing of anything else.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Only shards and folders of images: `train-*` is not to match the indexes beside the shards. As in a shell, `*` matches no name that
/// begins with a dot.
fn glob(pattern: &str, found: &mut Resolved) -> Result<(), ShardError> {
    let bad = |error: glob::PatternError| ShardError::BadPattern {
        pattern: pattern.to_owned(),
        cause: format!("{} at character {}", error.msg, error.pos),
    };
    refuse_unmatched(pattern)?;
    let (shards, mut image) = (found.shards.len(), None);
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    for entry in glob::glob_with(pattern, options).map_err(bad)? {
        let path = entry.map_err(|error| {
            let path = error.path().to_owned();
            ShardError::io("list", &path)(error.into())
        })?;
        let is_folder = !is_hidden(&path) && path.is_dir();
        if is_shard(&path)? || (is_folder && sources::holds_images(&path)) {
            found.shards.push(path);
        } else if image.is_none() && sources::is_image_file(&path) {
            image = Some(path);
        }
    }
    if let (true, Some(image)) = (found.shards.len() == shards, image) {
        let folder = image.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let cause =
            format!("matches image files: name the folders that hold them, such as {}", folder.display());
        return Err(ShardError::BadPattern { pattern: pattern.to_owned(), cause });
    }
    Ok(())
}

/// Whether a folder's entry is a shard by its name. Whatever else than a folder has such a name is meant to be one.
fn is_shard(path: &Path) -> Result<bool, ShardError> {
    let has_name = path.extension().is_some_and(sources::is_shards_extension) && !is_metadata(path);
    if !has_name || is_hidden(path) {
        return Ok(false);
    }
    match fs::metadata(path) {
        Ok(metadata) => Ok(!metadata.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(dangling(path)),
        Err(error) => Err(ShardError::io("open", path)(error)),
    }
}

/// Whether a file is the table of metadata that img2dataset writes beside a tar, under its name.
fn is_metadata(path: &Path) -> bool {
    let is_parquet = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
    is_parquet && path.with_extension("tar").exists()
}

fn is_compressed_tar(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let compressed = [".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.lz4"];
    !is_hidden(path) && compressed.iter().any(|end| name.ends_with(end))
}

/// Names that begin with a dot are those of files that are being written, or of the system; `..` is no name.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
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
        .find(|path| not_utf_8(path) && is_shard(path).unwrap_or(true))
    {
        Some(path) => {
            let why = "no glob can, because its name is not UTF-8; name the folder instead";
            Err(ShardError::io("match", &path)(io::Error::new(io::ErrorKind::InvalidInput, why)))
        }
        None => Ok(()),
    }
}

/// Sorts by the folder's real path and the file's name, so that `./a.tar` and `/data/a.tar` have the same
/// place, and drops what is listed twice, under whatever name, and folders that lie in others.
fn sort_once_each(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, ShardError> {
    let mut keyed = Vec::with_capacity(paths.len());
    for path in paths {
        if remote::is_url(&path.to_string_lossy()) {
            keyed.push((path.clone(), path.clone(), path));
            continue;
        }
        let real = fs::canonicalize(&path).map_err(ShardError::io("open", &path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(ShardError::io("open", folder))?;
        let order = folder.join(path.file_name().unwrap_or_default());
        keyed.push((order, real, path));
    }
    keyed.sort();
    let mut seen = HashSet::new();
    keyed.retain(|(_, real, _)| seen.insert(real.clone()));
    let folders: Vec<PathBuf> =
        keyed.iter().filter(|(.., path)| path.is_dir()).map(|(_, real, _)| real.clone()).collect();
    keyed.retain(|(_, real, _)| !folders.iter().any(|folder| folder != real && real.starts_with(folder)));
    Ok(keyed.into_iter().map(|(_, _, path)| path).collect())
}

#[cfg(test)]
mod tests;
