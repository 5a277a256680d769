//! WebDataset tars: memory-mapped, and read without a copy.
//!
//! | file | what it does |
//! |---|---|
//! | `members` | the archive's bytes to members |
//! | `scan` | members to samples and their labels |

use std::collections::HashMap;
use std::path::Path;

use self::members::{Members, TarError, TarErrorKind};
use self::scan::scan;
use super::mapped::MappedFile;
use super::{Kind, Opened};
use crate::shards::index::IndexBuilder;
use crate::shards::mapping::Mapping;
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
        let (mapping, stamp) = Mapping::open(path).map_err(ShardError::io("map", path))?;
        let sidecar = opening.sidecar_beside(path);
        let index = opening.index(path, &sidecar, stamp, &|found, _| found == stamp, || {
            let mut index = index_of(path, &mapping, opening.reading(stamp.bytes))?;
            opening.labelling.relabel(&mut index);
            Ok(index)
        })?;
        let source = Box::new(MappedFile::new(path, mapping).with_extensions(extensions));
        Ok(Opened { index, source })
    }
}

/// Scans the archive.
fn index_of(path: &Path, mapping: &Mapping, mut reached: Reached<'_>) -> Result<IndexBuilder, ShardError> {
    let scanned = mapping.sequentially(|archive| scan(archive, |place| reached.at(place as u64)));
    mapping.check_whole(path)?;
    let scan = scanned.map_err(|error| error.into_shard_error(path, mapping.bytes()))?;
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
