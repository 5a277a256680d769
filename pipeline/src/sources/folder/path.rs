//! Converts file names to bytes and back.

use std::ffi::OsStr;
use std::path::Path;

/// The bytes of a name, with `/` between folders.
pub(super) fn bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

/// The path that an index's bytes stand for.
#[cfg(unix)]
pub(super) fn of(bytes: &[u8]) -> &Path {
    Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// The path that an index's bytes stand for; of one that is not UTF-8, a path that leads nowhere.
#[cfg(not(unix))]
pub(super) fn of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::new(std::str::from_utf8(bytes).unwrap_or("\u{fffd}")))
}
