//! One object, as listed.

use object_store::ObjectMeta;

use super::Location;
use crate::cache::Key;

/// An object of known length and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteObject {
    /// Where it is.
    pub(crate) at: Location,
    /// Its length.
    pub(crate) bytes: u64,
    /// What the server calls this version of it, if it does.
    pub(super) etag: Option<String>,
    /// When it was last changed, in seconds since 1970, or 0 where the server doesn't say.
    pub(super) modified: i64,
}

impl RemoteObject {
    pub(super) fn new(at: Location, meta: ObjectMeta) -> RemoteObject {
        RemoteObject { at, bytes: meta.size, etag: meta.e_tag, modified: meta.last_modified.timestamp() }
    }

    /// What changes with the contents: the server's tag for them, or else the time and the length.
    pub(crate) fn version(&self) -> String {
        match &self.etag {
            Some(etag) => format!("{etag} {}", self.bytes),
            None => format!("{} {}", self.modified, self.bytes),
        }
    }

    /// Its place in a cache.
    pub(super) fn key(&self) -> Key {
        Key::new(&self.at.identity(), &self.version(), self.at.split_name().1)
    }

    /// The tag, if the server is to compare it: weak ones say that two versions are alike, not that they are the same.
    pub(super) fn strong_etag(&self) -> Option<String> {
        self.etag.clone().filter(|etag| !etag.starts_with("W/"))
    }

    /// Whether an answer is of the same version.
    pub(super) fn is_same(&self, meta: &ObjectMeta) -> bool {
        let same_tag = self.etag.is_none() || meta.e_tag.is_none() || self.etag == meta.e_tag;
        self.bytes == meta.size && same_tag
    }
}
