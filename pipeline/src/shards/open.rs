//! Opens the sources of a set in parallel, and indexes those without a fresh index.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::index::sidecar::{self, Sidecar};
use super::index::{Index, IndexBuilder, IsFresh};
use super::labels::{Labelling, Labels};
use super::mapping::FileStamp;
use super::pattern::Resolved;
use super::{OpenOptions, Shard, ShardError};
use crate::sources;

/// Opens every path, in order. With `stop`, no more are begun after an error: all before it are in the result.
pub(super) fn open_all(
    resolved: &Resolved,
    options: &OpenOptions,
    labelling: &Arc<Labelling>,
    stop: bool,
) -> Vec<Result<Shard, ShardError>> {
    let paths = &resolved.shards;
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let opened = Mutex::new(Vec::with_capacity(paths.len()));
    let opening = Opening::new(options, labelling);
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(number) else { break };
            let shard = open_one(path, resolved, &opening);
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

fn open_one(path: &Path, resolved: &Resolved, opening: &Opening<'_>) -> Result<Shard, ShardError> {
    let opened = match resolved.remote.open(path, opening) {
        Some(opened) => opened?,
        None => {
            let head = head(path).map_err(ShardError::io("open", path))?;
            sources::kind_of(path, head.as_deref()).open(path, opening)?
        }
    };
    Ok(Shard::new(path.to_owned(), opened, opening.options.labels == Labels::None))
}

/// How a file begins; `None` for a folder. Nothing of what is neither: a pipe would wait for someone to write into it.
pub(crate) fn head(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    const HEAD: u64 = 16;
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Ok(None);
    }
    let mut head = Vec::new();
    if metadata.is_file() {
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    }
    Ok(Some(head))
}

/// What kinds of sources are given to open one: the options, and how far indexing is over all of them.
pub(crate) struct Opening<'a> {
    pub(crate) options: &'a OpenOptions,
    pub(crate) labelling: &'a Arc<Labelling>,
    /// Where the index of a file lies, and what it is known by, where that is not beside the file and its stamp.
    index: Option<(Sidecar, FileStamp)>,
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(options: &'a OpenOptions, labelling: &'a Arc<Labelling>) -> Opening<'a> {
        Opening { options, labelling, index: None, done: Arc::default(), total: Arc::default() }
    }

    /// For a file whose index is kept elsewhere, under another stamp.
    #[cfg(feature = "remote")]
    pub(crate) fn with_index(&self, sidecar: Sidecar, stamp: FileStamp) -> Opening<'a> {
        Opening {
            options: self.options,
            labelling: self.labelling,
            index: Some((sidecar, stamp)),
            done: self.done.clone(),
            total: self.total.clone(),
        }
    }

    /// The places for the index of a file.
    pub(crate) fn sidecar_beside(&self, path: &Path) -> Sidecar {
        if matches!(**self.labelling, Labelling::Own) {
            return Sidecar::of(path, self.options);
        }
        self.sidecar_in_cache(path)
    }

    /// The place for an index that is not to lie beside its source.
    pub(crate) fn sidecar_in_cache(&self, path: &Path) -> Sidecar {
        Sidecar::cached(path, &self.labelling.variant(), self.options)
    }

    /// The folder for what has to be unpacked.
    ///
    /// # Errors
    /// There is none, or it cannot be made.
    pub(crate) fn cache_folder(&self) -> Result<PathBuf, ShardError> {
        let folder = self.options.cache_dir.clone().or_else(sidecar::user_cache_dir);
        let folder = folder.ok_or(ShardError::NoCache)?;
        fs::create_dir_all(&folder).map_err(ShardError::io("create", &folder))?;
        Ok(folder)
    }

    /// The stored index where there is one that `is_fresh`; or the one that `build` makes, stored for the next time under `stamp`.
    ///
    /// # Errors
    /// Of `build`.
    pub(crate) fn index(
        &self,
        path: &Path,
        sidecar: &Sidecar,
        stamp: FileStamp,
        is_fresh: IsFresh<'_>,
        build: impl FnOnce() -> Result<IndexBuilder, ShardError>,
    ) -> Result<Index, ShardError> {
        let is_other =
            |found: FileStamp, _: &[u8]| self.index.as_ref().is_some_and(|(_, other)| found == *other);
        let (sidecar, stamp, is_fresh): (&Sidecar, FileStamp, IsFresh<'_>) = match &self.index {
            Some((others, other)) => (others, *other, &is_other),
            None => (sidecar, stamp, is_fresh),
        };
        if let Some(index) = sidecar.load(is_fresh) {
            return Ok(index);
        }
        let builder = build()?;
        let samples = builder.samples();
        let bytes = builder.finish(stamp);
        if !self.options.store_indexes {
            return Ok(in_memory(bytes));
        }
        match sidecar.store(&bytes) {
            Ok(place) => {
                tracing::info!("{}: indexed {samples} samples in {}", path.display(), place.display());
            }
            Err(error) => {
                tracing::warn!("{}: its index cannot be stored and is not kept: {error}", path.display());
                return Ok(in_memory(bytes));
            }
        }
        // From the file, whose pages the system can drop again; from memory if someone was faster with another.
        Ok(sidecar.load(is_fresh).unwrap_or_else(|| in_memory(bytes)))
    }

    /// Begins to read a source of so many bytes.
    pub(crate) fn reading(&'a self, bytes: u64) -> Reached<'a> {
        self.add(0, bytes);
        Reached { opening: self, place: 0, end: bytes }
    }

    fn add(&self, done: u64, total: u64) {
        let done = self.done.fetch_add(done, Ordering::Relaxed) + done;
        let total = self.total.fetch_add(total, Ordering::Relaxed) + total;
        self.options.progress.tell(done, total);
    }
}

fn in_memory(index: Vec<u8>) -> Index {
    Index::from_bytes(index, &|_, _| true).expect("an index that was just built is valid")
}

/// How far the indexing of one source is.
pub(crate) struct Reached<'a> {
    opening: &'a Opening<'a>,
    place: u64,
    end: u64,
}

impl Reached<'_> {
    /// All of the source before this place, in bytes, is indexed.
    pub(crate) fn at(&mut self, place: u64) {
        self.opening.add(place.saturating_sub(self.place), 0);
        self.place = self.place.max(place);
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        self.at(self.end);
    }
}
