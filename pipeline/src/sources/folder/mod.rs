//! A folder of image files, flat or nested: listed once, and read file by file.
//!
//! Its index holds the path and size of every image, in the order of names, folder by folder, as in `tar --sort=name`
//! and torchvision's `ImageFolder`. It stays fresh until the modification time of a folder changes, so opening a
//! million files checks each folder but no file. Files are checked when they are read: one whose size has changed is a
//! bad sample, and the next start lists the folder again.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::list::Listing;
use super::{Indexed, Kind, Opened, Source};
use crate::shards::index::sidecar::Sidecar;
use crate::shards::index::{IndexBuilder, Record};
use crate::shards::mapping::FileStamp;
use crate::shards::open::Opening;
use crate::shards::{ReadCause, ShardError};

pub(crate) use self::find::{holds_images, is_image_file};

mod find;
mod list;
mod path;
mod state;

/// The kind.
pub(crate) struct Folders;

impl Kind for Folders {
    fn claims(&self, _path: &Path, head: Option<&[u8]>) -> bool {
        head.is_none()
    }

    fn open(&self, path: &Path, opening: &Opening<'_>) -> Result<Opened, ShardError> {
        let sidecar = opening.sidecar_in_cache(path);
        // Its state says more than a stamp could.
        let stamp = FileStamp { bytes: 0, mtime_ns: 0 };
        let index =
            opening.index(path, &sidecar, stamp, &|_, state| state::is_current(path, state), || {
                let listing = list::list(path, opening.options.threads)?;
                let mut index = index_of(path, &listing)?;
                opening.labelling.label_paths(path, &mut index);
                Ok(index)
            })?;
        let bytes = (0..index.samples())
            .filter_map(|at| index.record(at))
            .map(|record| u64::from(record.length))
            .sum();
        let source = Box::new(Folder { root: path.to_owned(), bytes, sidecar });
        Ok(Opened { index, source })
    }
}

fn index_of(path: &Path, listing: &Listing) -> Result<IndexBuilder, ShardError> {
    let mut index = IndexBuilder::default();
    index.state = state::of(listing);
    listing.each_finding(|kind, name, found| index.findings.push(kind, name, 0, found));
    let mut is_full = false;
    listing.each_image(|name, length| {
        let record = Record { offset: 0, length, crc32: None, label: None, is_plain: false };
        is_full |= index.push(record, name).is_err();
    });
    if is_full {
        let found = "the paths of its images take more than 4 GiB".into();
        return Err(ShardError::Unsupported { path: path.into(), offset: 0, found });
    }
    if index.samples() == 0 {
        return Err(ShardError::NoMatch { pattern: path.display().to_string(), below: None });
    }
    Ok(index)
}

/// A folder whose images are listed.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    bytes: u64,
    sidecar: Sidecar,
}

impl Source for Folder {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The read stage reads the file itself.
    fn read_ahead(&self, _sample: Indexed<'_>) {}

    fn waits(&self) -> bool {
        true
    }

    fn fetch(&self, sample: Indexed<'_>, mut buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        let name = sample.index.key(sample.position).ok_or(ReadCause::Index)?;
        let expected = u64::from(sample.record.length);
        buffer.clear();
        // One byte more than there should be: what is longer shows, and the end is met without another look.
        buffer.reserve(sample.record.length as usize + 1);
        let read = File::open(self.root.join(path::of(&name)))
            .and_then(|file| file.take(expected + 1).read_to_end(&mut buffer));
        match read {
            Ok(found) if found as u64 == expected => Ok(buffer.into()),
            Ok(found) => {
                self.sidecar.discard();
                Err(ReadCause::Resized { expected, found: found as u64 })
            }
            Err(error) => {
                self.sidecar.discard();
                Err(ReadCause::Io(error.to_string()))
            }
        }
    }

    fn has_names(&self) -> bool {
        true
    }
}
