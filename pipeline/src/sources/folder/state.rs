//! The state of the listed folders in an index: when each was last modified.
//!
//! ```text
//! time of the last change i64, in nanoseconds since 1970; length of the path u16; the path below the root
//! ```

use std::fs;
use std::path::Path;

use super::list::Listing;
use super::path;
use crate::shards::mapping::mtime_ns;

const HEAD: usize = 8 + 2;

/// The state of all folders of a listing.
pub(super) fn of(listing: &Listing) -> Vec<u8> {
    let mut state = Vec::new();
    for folder in listing.folders() {
        let length = u16::try_from(folder.path.len()).unwrap_or(u16::MAX);
        state.extend(folder.mtime_ns.to_le_bytes());
        state.extend(length.to_le_bytes());
        state.extend(&folder.path[..length.into()]);
    }
    state
}

/// Whether no folder was changed since: no file has come, gone, or got another name.
pub(super) fn is_current(root: &Path, mut state: &[u8]) -> bool {
    while let Some((head, rest)) = state.split_first_chunk::<HEAD>() {
        let [t0, t1, t2, t3, t4, t5, t6, t7, l0, l1] = *head;
        let listed = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let Some((folder, rest)) = rest.split_at_checked(u16::from_le_bytes([l0, l1]).into()) else {
            return false;
        };
        let Ok(metadata) = fs::metadata(root.join(path::of(folder))) else { return false };
        if mtime_ns(&metadata) != listed {
            return false;
        }
        state = rest;
    }
    state.is_empty()
}
