//! Maps shards, and indexes those that have no fresh index yet, several at a time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::finding::Subject;
use super::index::{FindingsBuilder, Index, sidecar::Sidecar};
use super::mapping::{FileStamp, Mapping};
use super::scan::scan;
use super::tar::{TarError, TarErrorKind};
use super::{IndexProgress, OpenOptions, Shard, ShardError, foreign};

/// Opens every shard, in the order of `paths`. With `stop`, no more are begun after an error: all before it are in the result.
pub(super) fn open_all(
    paths: &[PathBuf],
    options: &OpenOptions,
    stop: bool,
) -> Vec<Result<Shard, ShardError>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let opened = Mutex::new(Vec::with_capacity(paths.len()));
    let reading = Reading { done: 0.into(), total: 0.into(), progress: &options.progress };
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(number) else { break };
            let shard = open_shard(path, options.cache_dir.as_deref(), &reading);
            failed.fetch_or(stop && shard.is_err(), Ordering::Relaxed);
            opened.lock().expect("no thread panics while it holds the lock").push((number, shard));
        }
    };
    thread::scope(|scope| {
        // This thread works, too, so that it goes on when the system allows no others.
        for number in 1..options.threads.clamp(1, paths.len().max(1)) {
            let builder = thread::Builder::new().name(format!("index-{number}"));
            if builder.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut opened = opened.into_inner().expect("no thread panics while it holds the lock");
    opened.sort_by_key(|(number, _)| *number);
    opened.into_iter().map(|(_, shard)| shard).collect()
}

/// How far indexing is, over all shards.
struct Reading<'a> {
    done: AtomicU64,
    total: AtomicU64,
    progress: &'a IndexProgress,
}

impl Reading<'_> {
    fn add(&self, done: u64, total: u64) {
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        let total = self.total.fetch_add(total, Ordering::Relaxed) + total;
        self.progress.tell(done, total);
    }
}

fn open_shard(path: &Path, cache_dir: Option<&Path>, reading: &Reading<'_>) -> Result<Shard, ShardError> {
    let (mapping, stamp) = Mapping::open(path).map_err(ShardError::io("map", path))?;
    let sidecar = Sidecar::of(path, cache_dir);
    let index = match sidecar.load(stamp) {
        Some(index) => index,
        None => build_index(path, &mapping, stamp, &sidecar, reading)?,
    };
    Ok(Shard::new(path.to_owned(), mapping, index))
}

/// Scans the shard, and stores the index for the next time.
fn build_index(
    path: &Path,
    mapping: &Mapping,
    stamp: FileStamp,
    sidecar: &Sidecar,
    reading: &Reading<'_>,
) -> Result<Index, ShardError> {
    reading.add(0, stamp.bytes);
    let mut done = 0;
    let mut reached = |place: usize| {
        reading.add((place as u64).saturating_sub(done), 0);
        done = done.max(place as u64);
    };
    let scanned = mapping.sequentially(|archive| scan(archive, &mut reached));
    reading.add(stamp.bytes.saturating_sub(done), 0);
    let intact_until = mapping.intact_until();
    if intact_until < mapping.bytes().len() {
        let found = "pages that cannot be read: the file shrank, or the disk failed".into();
        return Err(ShardError::Truncated { path: path.into(), offset: intact_until as u64, found });
    }
    let scan = scanned.map_err(|error| tar_error(path, mapping.bytes(), error))?;
    if scan.index.samples() == 0 {
        let unused = unused_images(&scan.index.findings);
        return Err(ShardError::NoImages { path: path.into(), members: scan.members, unused });
    }
    let samples = scan.index.samples();
    let bytes = scan.index.finish(stamp);
    match sidecar.store(&bytes) {
        Ok(place) => {
            tracing::info!("shard {}: indexed {samples} samples in {}", path.display(), place.display());
        }
        Err(error) => {
            tracing::warn!("shard {}: its index cannot be stored and is not kept: {error}", path.display());
            return Ok(in_memory(bytes, stamp));
        }
    }
    // From the file, whose pages the system can drop again; from memory if someone was faster with another.
    Ok(sidecar.load(stamp).unwrap_or_else(|| in_memory(bytes, stamp)))
}

/// For the error that a shard has no images.
fn unused_images(findings: &FindingsBuilder) -> String {
    let images = findings.counts().filter(|(kind, _)| kind.subject() == Subject::Image);
    let images: Vec<_> = images.map(|(kind, count)| format!("{count} {kind}")).collect();
    if images.is_empty() { String::new() } else { format!("; not used: {}", images.join(", ")) }
}

fn in_memory(index: Vec<u8>, stamp: FileStamp) -> Index {
    Index::from_bytes(index, stamp).expect("an index that was just built is valid")
}

fn tar_error(path: &Path, archive: &[u8], TarError { offset, kind, found }: TarError) -> ShardError {
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
