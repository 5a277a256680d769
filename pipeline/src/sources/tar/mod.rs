//! WebDataset tars: memory-mapped, and read without a copy unless [`Access`](crate::shards::Access) says otherwise.
//!
//! | file | what it does |
//! |---|---|
//! | `members` | the archive's bytes to members |
//! | `scan` | members to samples and their labels |

use std::collections::HashMap;
use std::path::Path;

use self::members::{Members, TarError, TarErrorKind};
use self::scan::scan;
use super::plain_file::PlainFile;
use super::{Kind, Opened};
use crate::shards::contents::Contents;
use crate::shards::index::IndexBuilder;
use crate::shards::open::{Opening, Reached};
use crate::shards::{ShardError, foreign, name};

pub(crate) mod members;
pub(crate) mod scan;

/// The kind, which takes whatever no other does.
pub(crate) struct Tars;

impl Kind for Tars {
    fn claims(&self, _path: &Path, head: Option<&[u8]>) -> bool {
        head.is_some()
    }

    fn open(&self, path: &Path, opening: &Opening<'_>) -> Result<Opened, ShardError> {
        let (contents, stamp) =
            Contents::open(path, opening.options.access).map_err(ShardError::io("open", path))?;
        let sidecar = opening.sidecar_beside(path);
        let index = opening.index(path, &sidecar, stamp, &|found, _| found == stamp, || {
            let mut index = index_of(path, &contents, opening.reading(stamp.bytes))?;
            opening.labelling.relabel(path, &mut index);
            Ok(index)
        })?;
        let source = Box::new(PlainFile::new(path, contents).with_extensions(extensions));
        Ok(Opened { index, source })
    }
}

/// Scans the archive.
fn index_of(path: &Path, contents: &Contents, mut reached: Reached<'_>) -> Result<IndexBuilder, ShardError> {
    let scan = contents.whole(path, |archive| {
        let scanned = scan(archive, |place| reached.at(place as u64));
        scanned.map_err(|error| error.into_shard_error(path, archive))
    })??;
    if scan.index.samples() == 0 {
        let unused = scan.index.findings.unused_images();
        return Err(ShardError::NoImages { path: path.into(), members: scan.members, unused });
    }
    Ok(scan.index)
}

impl TarError {
    fn into_shard_error(self, path: &Path, archive: &[u8]) -> ShardError {
        let TarError { offset, kind, found } = self;
        let (path, offset) = (path.to_owned(), offset as u64);
        if kind == TarErrorKind::NotTar
            && offset == 0
            && let Some((what, advice)) = foreign::advice(&path, archive)
        {
            return ShardError::Foreign { path, what, advice };
        }
        match kind {
            TarErrorKind::NotTar => ShardError::NotTar { path, offset, found },
            TarErrorKind::Truncated => ShardError::Truncated { path, offset, found },
            TarErrorKind::Unsupported => ShardError::Unsupported { path, offset, found },
        }
    }
}

/// What stands behind the first dot of the members' names, by where their contents begin.
fn extensions(archive: &[u8]) -> HashMap<u64, String> {
    let members = Members::new(archive).map_while(Result::ok);
    let named = members.filter_map(|member| {
        let (_, extension) = name::split(&member.name)?;
        Some((member.offset as u64, String::from_utf8_lossy(extension).into_owned()))
    });
    named.collect()
}
