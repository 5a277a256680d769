//! The images of a Parquet file with compressed pages, or without a mapping, in sequence in a file of the cache folder.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::{Parquet, state_name};
use crate::shards::contents::Contents;
use crate::shards::index::{Index, IndexBuilder};
use crate::shards::mapping::FileStamp;
use crate::shards::open::Opening;
use crate::shards::{AtomicFile, ShardError};
use crate::sources::plain_file::PlainFile;

/// The index of what is unpacked, and the file itself; made where they are not there yet.
pub(super) fn open(
    file: &Parquet,
    stamp: FileStamp,
    opening: &Opening<'_>,
) -> Result<(Index, PlainFile), ShardError> {
    let folder = opening.cache_folder()?;
    let name = file.path.file_stem().unwrap_or_default().to_string_lossy();
    let unpacked = folder.join(format!("{}-{name}.images", state_name(&file.path, stamp)));
    let sidecar = opening.sidecar_in_cache(&unpacked);
    let is_fresh = |found: FileStamp, _: &[u8]| found == stamp && unpacked.exists();
    let index = opening.index(&file.path, &sidecar, stamp, &is_fresh, || {
        tracing::info!("{}: unpacked into {}", file.path.display(), unpacked.display());
        let mut index = unpack(file, &unpacked, opening)?;
        opening.labelling.relabel(&file.path, &mut index);
        Ok(index)
    })?;
    let (contents, _) =
        Contents::open(&unpacked, opening.options.access).map_err(ShardError::io("open", &unpacked))?;
    Ok((index, PlainFile::new(&unpacked, contents)))
}

fn unpack(file: &Parquet, unpacked: &Path, opening: &Opening<'_>) -> Result<IndexBuilder, ShardError> {
    let failed = || ShardError::io("write", unpacked);
    let mut out = BufWriter::with_capacity(1 << 20, AtomicFile::create(unpacked).map_err(failed())?);
    let mut written = 0;
    let index = file.index(opening, false, |image, _| {
        out.write_all(image).map_err(failed())?;
        written += image.len() as u64;
        Ok(Some(written - image.len() as u64))
    })?;
    let out = out.into_inner().map_err(|error| failed()(error.into_error()))?;
    out.sync().and_then(|()| out.persist()).map_err(failed())?;
    Ok(index)
}
