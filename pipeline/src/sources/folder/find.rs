//! Checks whether a folder holds images, without listing all of it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::path;
use crate::shards::name;

/// Folders within folders that are looked into.
const DEPTH: usize = 16;

/// Whether an image lies below a folder.
pub(crate) fn holds_images(folder: &Path) -> bool {
    find(folder, DEPTH)
}

fn find(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        if is_image_file(&path) {
            return true;
        }
        if depth > 0 && !is_hidden(&path) && path.is_dir() {
            folders.push(path);
        }
    }
    folders.into_iter().any(|folder| find(&folder, depth - 1))
}

/// Whether a path is that of an image: by the file's name, or where that has no extension, by how it begins.
pub(crate) fn is_image_file(path: &Path) -> bool {
    let extension = path.extension().map(path::bytes).unwrap_or_default();
    let may_be = extension.is_empty() || name::is_image(extension);
    may_be && !is_hidden(path) && path.is_file() && (!is_plain(extension) || holds_image(path))
}

/// Whether an extension does not say what a file is. Disk images are named `img`, too.
pub(super) fn is_plain(extension: &[u8]) -> bool {
    extension.is_empty() || extension.eq_ignore_ascii_case(b"img")
}

/// Whether a file is an image by how it begins; enough of it for a camera's preview before the header.
pub(super) fn holds_image(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut head));
    read.is_ok() && name::holds_image(&head)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().map(path::bytes).unwrap_or_default().starts_with(b".")
}
