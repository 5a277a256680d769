//! Patterns of remote shards.

use std::path::{Path, PathBuf};

use super::super::open::Opening;
use super::super::{OpenOptions, ShardError};
use crate::sources::Opened;

/// Whether a pattern is a URL.
pub(super) fn is_url(pattern: &str) -> bool {
    pattern.contains("://")
}

/// The shards that patterns with URLs name, and how they are had.
#[derive(Default)]
pub(in crate::shards) struct RemoteShards {
    #[cfg(feature = "remote")]
    depot: Option<std::sync::Arc<crate::sources::remote::Depot>>,
    #[cfg(feature = "remote")]
    objects: std::collections::HashMap<PathBuf, crate::remote::RemoteObject>,
    #[cfg(feature = "remote")]
    cache: (Option<PathBuf>, u64),
}

impl std::fmt::Debug for RemoteShards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteShards")
    }
}

#[cfg(not(feature = "remote"))]
impl RemoteShards {
    /// None, ever.
    pub(super) fn new(_: &OpenOptions) -> RemoteShards {
        RemoteShards::default()
    }

    pub(super) fn list(&mut self, pattern: &str) -> Result<Vec<PathBuf>, ShardError> {
        let cause = "this program was built without what reads buckets and web servers: `cargo run --features remote -- ...` has it";
        let cause = cause.to_owned();
        Err(ShardError::BadPattern { pattern: pattern.to_owned(), cause })
    }

    pub(in crate::shards) fn open(&self, _: &Path, _: &Opening<'_>) -> Option<Result<Opened, ShardError>> {
        None
    }

    pub(in crate::shards) fn read_beside(
        &self,
        _: &Path,
        _: &str,
        _: u64,
    ) -> Result<Option<Vec<u8>>, ShardError> {
        Ok(None)
    }
}

#[cfg(feature = "remote")]
mod feature {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::cache::Cache;
    use crate::remote::{Remote, RemoteError, RemoteOptions, is_remote};
    use crate::shards::index::sidecar::user_cache_dir;
    use crate::sources::remote::{self, Depot};

    /// How long a fetch waits for room in the cache that others have.
    const PATIENCE: Duration = Duration::from_secs(60);

    impl RemoteShards {
        /// None yet.
        pub(in crate::shards::pattern) fn new(options: &OpenOptions) -> RemoteShards {
            RemoteShards { cache: (options.cache_dir.clone(), options.cache_size), ..RemoteShards::default() }
        }

        /// The objects that a pattern names, as paths.
        pub(in crate::shards::pattern) fn list(&mut self, pattern: &str) -> Result<Vec<PathBuf>, ShardError> {
            if !is_remote(pattern) {
                let (scheme, _) = pattern.split_once("://").unwrap_or_default();
                let cause = format!("{scheme}:// is not read; s3://, gs://, az://, http:// and https:// are");
                return Err(ShardError::BadPattern { pattern: pattern.to_owned(), cause });
            }
            let depot = self.depot()?;
            let objects = depot.remote.list(pattern).wait().map_err(in_words)?;
            let paths = objects.into_iter().map(|object| {
                let path = PathBuf::from(object.at.to_string());
                self.objects.insert(path.clone(), object);
                path
            });
            Ok(paths.collect())
        }

        fn depot(&mut self) -> Result<Arc<Depot>, ShardError> {
            if let Some(depot) = &self.depot {
                return Ok(depot.clone());
            }
            let (dir, size) = &self.cache;
            let dir = dir.clone().or_else(user_cache_dir).ok_or(ShardError::NoCache)?;
            let cache = Cache::open(&dir.join("shards"), *size, PATIENCE)
                .map_err(|error| ShardError::Remote(error.to_string()))?;
            let depot = Depot::new(Remote::new(RemoteOptions::default()), cache, *size);
            Ok(self.depot.insert(Arc::new(depot)).clone())
        }

        /// Opens a remote shard; `None` of a path that is none.
        pub(in crate::shards) fn open(
            &self,
            path: &Path,
            opening: &Opening<'_>,
        ) -> Option<Result<Opened, ShardError>> {
            let (object, depot) = (self.objects.get(path)?, self.depot.as_ref()?);
            Some(remote::open(path, object, depot, opening))
        }

        /// An object of at most `limit` bytes in the folder of a remote shard; `None` where there is none.
        ///
        /// # Errors
        /// If it is longer, or it cannot be known whether there is one.
        pub(in crate::shards) fn read_beside(
            &self,
            shard: &Path,
            name: &str,
            limit: u64,
        ) -> Result<Option<Vec<u8>>, ShardError> {
            let (Some(object), Some(depot)) = (self.objects.get(shard), &self.depot) else { return Ok(None) };
            let beside = match depot.remote.in_folder_of(object, name).wait() {
                Ok(beside) => beside,
                Err(error) if error.cause.may_pass() => return Err(in_words(error)),
                Err(_) => return Ok(None),
            };
            if beside.bytes > limit {
                return Err(ShardError::Remote(format!("{}: longer than {limit} bytes", beside.at)));
            }
            let bytes = depot.remote.read(&beside, 0..beside.bytes).wait().map_err(in_words)?;
            Ok(Some(bytes.to_vec()))
        }
    }

    fn in_words(error: RemoteError) -> ShardError {
        ShardError::Remote(error.to_string())
    }
}
