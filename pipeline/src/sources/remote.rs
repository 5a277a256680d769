//! Shards in buckets and on web servers: fetched whole into the cache folder, and read there as files of their kind.
//!
//! The index of a shard stays in the cache folder when the shard itself is evicted, so a set of any size opens without
//! a fetch from the second time on. With indexes next to the shards (`train-000.tar.idx`, as `simsiam inspect` writes
//! them for local shards), this holds for the first time too. A shard is locked in the cache from its first sample
//! until the read stage no longer needs it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use xxhash_rust::xxh3::xxh3_64;

use super::{Indexed, Opened, Source, kind_of};
use crate::cache::{self, Cache, Held};
use crate::remote::{Remote, RemoteObject, Task};
use crate::shards::index::Index;
use crate::shards::index::sidecar::Sidecar;
use crate::shards::labels::Labelling;
use crate::shards::mapping::FileStamp;
use crate::shards::open::{Opening, head};
use crate::shards::{OpenOptions, ReadCause, ShardError};

/// Where the remote shards of a set come from, and where they go.
pub(crate) struct Depot {
    pub(crate) remote: Remote,
    cache: Cache,
    /// Most bytes that this set holds in the cache.
    limit: u64,
    /// The shards that are here or on their way, those that came first in front.
    here: Mutex<Vec<Admitted>>,
}

/// A shard that is here or waited for, and the room that it takes.
struct Admitted {
    near: Arc<Mutex<Near>>,
    bytes: u64,
}

impl Depot {
    pub(crate) fn new(remote: Remote, cache: Cache, limit: u64) -> Depot {
        Depot { remote, cache, limit, here: Mutex::default() }
    }

    /// Counts a shard that comes, and lets go of those that came first, until there is room for it. The read stage has let go of what it
    /// does not need: this is for those who read samples by themselves, one shard after the other.
    fn admit(&self, comer: &Arc<Mutex<Near>>, bytes: u64) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        here.retain(|shard| {
            let has_gone = || matches!(try_lock(&shard.near).as_deref(), Some(Near::No | Near::Coming(_)));
            !Arc::ptr_eq(&shard.near, comer) && !has_gone()
        });
        let mut held: u64 = here.iter().map(|shard| shard.bytes).sum();
        here.retain(|shard| {
            let near = if held + bytes > self.limit { try_lock(&shard.near) } else { None };
            let Some(mut near) = near else { return true };
            *near = Near::No;
            held -= shard.bytes;
            false
        });
        here.push(Admitted { near: comer.clone(), bytes });
    }
}

/// The lock, if no thread has it, as one has that fetches.
fn try_lock(near: &Mutex<Near>) -> Option<MutexGuard<'_, Near>> {
    match near.try_lock() {
        Ok(near) => Some(near),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Opens a shard by its index, which is made of the shard itself where there is none.
pub(crate) fn open(
    path: &Path,
    object: &RemoteObject,
    depot: &Arc<Depot>,
    opening: &Opening<'_>,
) -> Result<Opened, ShardError> {
    let shard = RemoteShard {
        path: path.to_owned(),
        object: object.clone(),
        depot: depot.clone(),
        options: opening.options.clone(),
        labelling: opening.labelling.clone(),
        near: Arc::new(Mutex::new(Near::No)),
    };
    let (sidecar, stamp) = (shard.sidecar(), shard.stamp());
    let index = match sidecar.load(&|found, _| found == stamp).or_else(|| shard.published_index(&sidecar)) {
        Some(index) => index,
        None => {
            let held = shard.fetch().wait().map_err(|error| ShardError::Remote(error.to_string()))?;
            shard.open_file(&held, opening)?.index
        }
    };
    Ok(Opened { index, source: Box::new(shard) })
}

/// A shard that is somewhere else.
struct RemoteShard {
    /// Its URL, without secrets.
    path: PathBuf,
    object: RemoteObject,
    depot: Arc<Depot>,
    options: OpenOptions,
    labelling: Arc<Labelling>,
    near: Arc<Mutex<Near>>,
}

/// How near the shard is.
enum Near {
    No,
    /// On its way.
    Coming(Task<Held>),
    /// In the cache, opened.
    Here(Arc<Here>),
}

/// A shard in the cache, which stays there meanwhile.
struct Here {
    source: Box<dyn Source>,
    _held: Held,
}

impl RemoteShard {
    /// What changes with the object.
    fn stamp(&self) -> FileStamp {
        let version = xxh3_64(self.object.version().as_bytes());
        FileStamp { bytes: self.object.bytes, mtime_ns: version.cast_signed() }
    }

    fn sidecar(&self) -> Sidecar {
        Sidecar::cached(&self.path, &self.labelling.variant(), &self.options)
    }

    fn fetch(&self) -> Task<Held> {
        self.depot.remote.fetch(&self.object, &self.depot.cache)
    }

    /// The index that lies beside the object, kept from now on; `None` where there is none that fits.
    fn published_index(&self, sidecar: &Sidecar) -> Option<Index> {
        if !matches!(*self.labelling, Labelling::Own) {
            return None;
        }
        let beside = self.depot.remote.beside(&self.object, ".idx").wait().ok()?;
        let bytes = self.depot.remote.read(&beside, 0..beside.bytes).wait().ok()?;
        let bytes = Index::restamped(bytes.to_vec(), self.stamp())?;
        sidecar.store(&bytes).ok()?;
        tracing::info!("{}: its index is published beside it", self.path.display());
        Index::from_bytes(bytes, &|_, _| true).ok()
    }

    /// Opens the file in the cache as the kind that it is. Its index is the shard's, wherever the file lies.
    fn open_file(&self, held: &Held, opening: &Opening<'_>) -> Result<Opened, ShardError> {
        let head = head(held.path()).map_err(ShardError::io("open", held.path()))?;
        let opening = opening.with_index(self.sidecar(), self.stamp());
        let opened = kind_of(held.path(), head.as_deref()).open(held.path(), &opening);
        opened.map_err(|error| error.about(held.path(), &self.path))
    }

    fn lock(&self) -> MutexGuard<'_, Near> {
        self.near.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The opened file, waited for if need be. Other threads that need it wait for this one.
    fn here(&self) -> Result<Arc<Here>, ReadCause> {
        let mut near = self.lock();
        let task = match std::mem::replace(&mut *near, Near::No) {
            Near::Here(here) => {
                *near = Near::Here(here.clone());
                return Ok(here);
            }
            Near::Coming(task) => Some(task),
            Near::No => None,
        };
        self.depot.admit(&self.near, self.cached_bytes());
        let held = match task {
            // What failed ahead of time may work by now.
            Some(task) if task.is_done() => task.wait().or_else(|_| self.fetch().wait()),
            Some(task) => task.wait(),
            None => self.fetch().wait(),
        };
        let held = held.map_err(|error| ReadCause::Unreachable(error.to_string()))?;
        let opening = Opening::new(&self.options, &self.labelling);
        let Opened { source, .. } =
            self.open_file(&held, &opening).map_err(|error| ReadCause::Unreachable(error.to_string()))?;
        let here = Arc::new(Here { source, _held: held });
        *near = Near::Here(here.clone());
        Ok(here)
    }
}

impl Source for RemoteShard {
    fn bytes(&self) -> u64 {
        self.object.bytes
    }

    fn read_ahead(&self, _sample: Indexed<'_>) {}

    fn waits(&self) -> bool {
        true
    }

    fn fetch(&self, sample: Indexed<'_>, mut buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        let here = self.here()?;
        match here.source.fetch(sample, Vec::new())? {
            Cow::Owned(bytes) => Ok(bytes.into()),
            Cow::Borrowed(bytes) => {
                buffer.clear();
                buffer.extend_from_slice(bytes);
                here.source.check_borrowed(sample)?;
                Ok(buffer.into())
            }
        }
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn cached_bytes(&self) -> u64 {
        self.object.bytes + cache::OVERHEAD
    }

    fn bring_near(&self) {
        if let Some(mut near) = try_lock(&self.near)
            && matches!(*near, Near::No)
        {
            *near = Near::Coming(self.fetch());
        }
    }

    fn let_go(&self) {
        if let Some(mut near) = try_lock(&self.near) {
            *near = Near::No;
        }
    }

    fn has_names(&self) -> bool {
        // Of a zip; the others are told by their names, too.
        self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
    }
}

impl std::fmt::Debug for RemoteShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteShard").field("path", &self.path).finish_non_exhaustive()
    }
}
