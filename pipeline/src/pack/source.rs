//! The images of a folder, with their keys and labels.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{ClassFolders, Layout};
use super::walk::{Found, FoundImage, walk};
use super::{PackError, SkippedFile};
use crate::shards::name::listing_order;

/// What a folder holds, and what becomes of it.
#[derive(Debug)]
pub(super) struct Source {
    /// Sorted; the position of a name is its label.
    pub(super) classes: Vec<String>,
    /// Sorted by key.
    pub(super) images: Vec<SourceImage>,
    /// Files that are left out.
    pub(super) others: Vec<SkippedFile>,
}

/// One image file.
#[derive(Debug)]
pub(super) struct SourceImage {
    pub(super) path: PathBuf,
    /// Size of the file.
    pub(super) bytes: u64,
    /// The path below the source without the extension, and without dots in the base name. Unique.
    pub(super) key: String,
    /// As the file has it.
    pub(super) extension: String,
    pub(super) label: Option<u32>,
}

/// Lists the images below `source`, at any depth, and settles their classes. Names that begin with a dot are passed over.
pub(super) fn list(source: &Path, out: &Path, asked: Option<ClassFolders>) -> Result<Source, PackError> {
    let mut found = walk(source)?;
    let layout = Layout::settle(source, out, &mut found, asked)?;
    let Found { images, others, .. } = found;
    if images.is_empty() {
        return Err(PackError::NoImages { path: source.to_owned(), others });
    }
    let mut images: Vec<_> = images.into_iter().map(|image| with_key(image, &layout)).collect();
    make_keys_unique(&mut images);
    warn_of_empty(source, &layout, &images);
    Ok(Source { classes: layout.classes, images, others })
}

/// Orders images by a hash of their key and the seed: as good as a shuffle, and the same in every listing order.
pub(super) fn shuffle(images: &mut [SourceImage], seed: u64) {
    images.sort_by_cached_key(|image| (xxh3_64_with_seed(image.key.as_bytes(), seed), image.key.clone()));
}

/// Orders images as a listing of the folder does.
pub(super) fn sort_by_name(images: &mut [SourceImage]) {
    let name = |image: &SourceImage| image.path.as_os_str().as_encoded_bytes().to_owned();
    images.sort_by(|one, another| listing_order(&name(one), &name(another)));
}

/// `source/class/a.b.jpg` gives `class/a_b`.
fn with_key(image: FoundImage, layout: &Layout) -> SourceImage {
    let label = layout.label(&image);
    let FoundImage { path, bytes, mut folders, extension } = image;
    folders.push(path.file_stem().unwrap_or_default().to_string_lossy().replace('.', "_"));
    SourceImage { path, bytes, key: folders.join("/"), extension, label }
}

/// `a.jpg` and `a.png` have one key, and would be taken for one sample: the later ones get a number.
fn make_keys_unique(images: &mut [SourceImage]) {
    images.sort_by(|a, b| (&a.key, &a.path).cmp(&(&b.key, &b.path)));
    let mut taken: HashSet<String> = HashSet::with_capacity(images.len());
    for image in images {
        let plain = image.key.clone();
        let mut number = 2;
        while !taken.insert(image.key.clone()) {
            image.key = format!("{plain}-{number}");
            number += 1;
        }
    }
}

fn warn_of_empty(source: &Path, layout: &Layout, images: &[SourceImage]) {
    let labels: HashSet<Option<u32>> = images.iter().map(|image| image.label).collect();
    for (label, class) in (0..).zip(&layout.classes) {
        if !labels.contains(&Some(label)) {
            tracing::warn!("{}: class folder without images", source.join(class).display());
        }
    }
}
