//! The list of shards that WebDataset's `widsindex` writes (`shardindex.json`).

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::ShardError;

/// What is used of `{"__kind__": "wids-shard-index-v1", "shardlist": [{"url": ..., "nsamples": ...}, ...]}`.
#[derive(Deserialize)]
struct ShardIndex {
    shardlist: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: String,
}

/// Whether a file is such a list, by its name.
pub(super) fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The shards that the list at `path` names: beside it, or else as they are written, relative to the working directory.
pub(super) fn shards(path: &Path) -> Result<Vec<PathBuf>, ShardError> {
    let bad = |cause: String| ShardError::BadPattern { pattern: path.display().to_string(), cause };
    let text = fs::read(path).map_err(ShardError::io("read", path))?;
    let index: ShardIndex =
        serde_json::from_slice(&text).map_err(|error| bad(format!("not an index of shards ({error})")))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let resolve = |Entry { url }: Entry| {
        let name = url.strip_prefix("file://").or(url.strip_prefix("file:")).unwrap_or(&url);
        if name.contains("://") || name.starts_with("pipe:") {
            return Err(bad(format!("{name} is not a local file")));
        }
        let beside = folder.join(name);
        let found = if beside.exists() { beside } else { PathBuf::from(name) };
        if found.exists() { Ok(found) } else { Err(ShardError::NotFound { path: folder.join(name) }) }
    };
    index.shardlist.into_iter().map(resolve).collect()
}
