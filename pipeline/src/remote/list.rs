//! Resolves patterns to objects.

use futures_util::TryStreamExt;
use futures_util::stream::FuturesOrdered;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::location::{self, Place};
use super::{Cause, Connection, Location, RemoteError, RemoteObject};
use crate::shards::expand_braces;

/// What is a shard by its name.
const EXTENSIONS: [&str; 3] = [".tar", ".zip", ".parquet"];

impl Connection {
    /// See [`Remote::list`](super::Remote::list).
    pub(super) async fn list(&self, pattern: &str) -> Result<Vec<RemoteObject>, RemoteError> {
        let bad = |cause: String| Cause::BadUrl(cause).once(location::shown(pattern));
        let patterns = expand_braces(pattern).map_err(bad)?;
        let mut found: FuturesOrdered<_> = patterns.iter().map(|pattern| self.list_one(pattern)).collect();
        let mut objects = Vec::new();
        while let Some(some) = found.try_next().await? {
            objects.extend(some);
        }
        objects.sort_by_cached_key(|object| object.at.identity());
        objects.dedup_by(|a, b| a.at == b.at);
        Ok(objects)
    }

    /// The objects of a pattern without braces.
    async fn list_one(&self, pattern: &str) -> Result<Vec<RemoteObject>, RemoteError> {
        let at = Location::parse(pattern)?;
        let (folder, name) = at.split_name();
        let is_wild = |text: &str| text.contains(['*', '?', '[']);
        match &at.place {
            _ if is_wild(folder) => Err(Cause::Wildcard.once(&at)),
            Place::Web(_) if name.is_empty() || is_wild(name) => Err(Cause::NoListing.once(&at)),
            Place::Bucket { .. } if name.is_empty() || is_wild(name) => {
                let mut tries = self.retry.tries(&at);
                loop {
                    match self.list_folder(&at, folder, name).await {
                        Ok(objects) => return Ok(objects),
                        Err(cause) => tries.failed(cause).await?,
                    }
                }
            }
            _ => Ok(vec![self.object(at).await?]),
        }
    }

    /// One object by its place.
    pub(super) async fn object(&self, at: Location) -> Result<RemoteObject, RemoteError> {
        let mut tries = self.retry.tries(&at);
        let meta = loop {
            match self.head(&at).await {
                Ok(meta) => break meta,
                Err(cause) => tries.failed(cause).await?,
            }
        };
        Ok(RemoteObject::new(at, meta))
    }

    /// The shards directly in `folder` whose names match; all, if `name` is empty.
    async fn list_folder(&self, at: &Location, folder: &str, name: &str) -> Result<Vec<RemoteObject>, Cause> {
        let bad = |cause: String| Cause::BadUrl(cause);
        let glob = glob::Pattern::new(if name.is_empty() { "*" } else { name });
        let glob = glob.map_err(|error| bad(format!("{} at character {}", error.msg, error.pos)))?;
        let prefix = Path::parse(folder).map_err(|error| bad(error.to_string()))?;
        let store = self.clients.of(at)?;
        let _slot = self.slot().await;
        let listed = store.list_with_delimiter(Some(&prefix)).await;
        let objects = listed.map_err(|error| self.clients.cause(&error, at))?.objects;
        let is_shard = |name: &str| {
            let lower = name.to_ascii_lowercase();
            !name.starts_with('.') && EXTENSIONS.iter().any(|extension| lower.ends_with(extension))
        };
        let found = objects
            .into_iter()
            .filter(|meta| meta.location.filename().is_some_and(|name| is_shard(name) && glob.matches(name)));
        let found: Vec<RemoteObject> =
            found.map(|meta| RemoteObject::new(at.sibling(meta.location.as_ref()), meta)).collect();
        if found.is_empty() { Err(Cause::NoMatch) } else { Ok(found) }
    }

    /// Length and version of one object.
    async fn head(&self, at: &Location) -> Result<ObjectMeta, Cause> {
        match self.meta(at, GetOptions { head: true, ..GetOptions::default() }).await {
            // The answer to HEAD has no body that would say why; and a URL may be signed for GET alone.
            Err(cause) if cause.is_answer() => {}
            answer => return answer,
        }
        let first_byte = Some(GetRange::Bounded(0..1));
        match self.meta(at, GetOptions { range: first_byte, ..GetOptions::default() }).await {
            Err(Cause::NoRanges) => self.meta(at, GetOptions::default()).await,
            answer => answer,
        }
    }

    /// What the head of an answer says.
    async fn meta(&self, at: &Location, options: GetOptions) -> Result<ObjectMeta, Cause> {
        let (store, path) = (self.clients.of(at)?, at.path()?);
        let _slot = self.slot().await;
        let answer = store.get_opts(&path, options).await;
        answer.map(|answer| answer.meta).map_err(|error| self.clients.cause(&error, at))
    }
}
