//! Finds the images below a folder, and gives the reason for every other file.

use std::collections::BTreeSet;
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::SkippedFile;
use crate::decode::probe;
use crate::shards::{ShardError, is_image, unread_format};

/// What lies below a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) images: Vec<FoundImage>,
    /// Names of the folders in the source itself, sorted.
    pub(super) folders: Vec<String>,
    /// Files that are no images, or cannot be read.
    pub(super) others: Vec<SkippedFile>,
}

/// An image file.
#[derive(Debug)]
pub(super) struct FoundImage {
    pub(super) path: PathBuf,
    /// Size of the file.
    pub(super) bytes: u64,
    /// Folders between the source and the file.
    pub(super) folders: Vec<String>,
    /// What it is stored under.
    pub(super) extension: String,
}

/// Goes through `source` in the order of names. Those that begin with a dot are passed over, as in a shell, and images among them
/// named; links are followed.
pub(super) fn walk(source: &Path) -> Result<Found, ShardError> {
    let real = fs::canonicalize(source).map_err(ShardError::io("list", source))?;
    let mut found = Found::default();
    let mut place =
        Place { seen: BTreeSet::from([real.clone()]), ancestors: vec![real], folders: Vec::new() };
    walk_folder(source, &mut place, &mut found)?;
    Ok(found)
}

/// Where the walk is.
struct Place {
    /// Real paths of all folders so far.
    seen: BTreeSet<PathBuf>,
    /// Real paths of the folders that it is in.
    ancestors: Vec<PathBuf>,
    /// Their names below the source.
    folders: Vec<String>,
}

fn walk_folder(folder: &Path, place: &mut Place, found: &mut Found) -> Result<(), ShardError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(ShardError::io("list", folder))? {
        entries.push(entry.map_err(ShardError::io("list", folder))?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            // Those of macOS's `._x.jpg` are no images.
            let is_image = !name.starts_with("._") && has_images_extension(&path) && path.is_file();
            if is_image || holds_images(&path, HIDDEN_DEPTH) {
                found.others.push(SkippedFile { path, cause: "its name begins with a dot".into() });
            }
            continue;
        }
        let kind = match Kind::of(&path, place) {
            Ok(kind) => kind,
            Err(cause) => {
                found.others.push(SkippedFile { path, cause });
                continue;
            }
        };
        match kind {
            Kind::Folder { real } => {
                if place.folders.is_empty() {
                    found.folders.push(name.clone());
                }
                place.ancestors.push(real);
                place.folders.push(name);
                walk_folder(&path, place, found)?;
                place.ancestors.pop();
                place.folders.pop();
            }
            Kind::Image { bytes, extension } => {
                let folders = place.folders.clone();
                found.images.push(FoundImage { path, bytes, folders, extension });
            }
        }
    }
    Ok(())
}

enum Kind {
    Folder { real: PathBuf },
    Image { bytes: u64, extension: String },
}

impl Kind {
    /// What an entry is, or why it is of no use.
    fn of(path: &Path, place: &mut Place) -> Result<Kind, String> {
        let unreadable = |error: io::Error| match fs::read_link(path) {
            Ok(target) if error.kind() == io::ErrorKind::NotFound => {
                format!("a link to {}, which does not exist", target.display())
            }
            Ok(target) => format!("a link to {} that cannot be followed: {error}", target.display()),
            Err(_) => error.to_string(),
        };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            let real = fs::canonicalize(path).map_err(unreadable)?;
            // What lies in the source is read where it lies, and everything once.
            return if place.ancestors.contains(&real) {
                Err("a link to a folder that it lies in".into())
            } else if path.is_symlink() && real.starts_with(&place.ancestors[0]) {
                Err("a link to a folder of the source itself".into())
            } else if !place.seen.insert(real.clone()) {
                Err("a folder that was read already, by another link".into())
            } else {
                Ok(Kind::Folder { real })
            };
        }
        // Whatever is no file is not opened: a pipe would wait for someone to write into it.
        if !metadata.is_file() {
            return Err(special(metadata.file_type()).into());
        }
        image_extension(path).map(|extension| Kind::Image { bytes: metadata.len(), extension })
    }
}

/// Folders below a hidden one that are looked into.
const HIDDEN_DEPTH: usize = 3;

/// Whether a folder has files with an image's name.
fn holds_images(folder: &Path, depth: usize) -> bool {
    if depth == 0 || folder.is_symlink() {
        return false;
    }
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let path = entry.path();
        (has_images_extension(&path) && path.is_file()) || holds_images(&path, depth - 1)
    })
}

fn has_images_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| is_image(extension.as_encoded_bytes()))
}

/// The extension of an image, by its name or where that says nothing by its contents; else what the file is.
fn image_extension(path: &Path) -> Result<String, String> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    // Disk images are named so, too.
    let is_plain = extension.is_empty() || extension.eq_ignore_ascii_case("img");
    if has_images_extension(path) && !is_plain {
        return Ok(extension);
    }
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if let Some(format) = unread_format(name) {
        return Err(format!("{format}, which is not read"));
    }
    let head = head(path).map_err(|error| format!("cannot be read: {error}"))?;
    match probe(&head) {
        Ok(info) if is_plain => Ok(info.format.to_string().to_lowercase()),
        Ok(info) => Err(format!("a {} by its contents, not by its extension", info.format)),
        Err(_) => Err("no image".into()),
    }
}

/// The beginning of a file; enough for an image's header, with a camera's preview before it.
fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(1 << 20).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "no regular file"
}
