//! Lists an ImageFolder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::PackError;
use crate::shards::{ShardError, is_image};

/// What a folder of class folders holds.
#[derive(Debug)]
pub(super) struct Source {
    /// Sorted; the position of a name is its label.
    pub(super) classes: Vec<String>,
    /// Sorted by key.
    pub(super) images: Vec<SourceImage>,
    pub(super) ignored_files: u64,
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
    pub(super) label: u32,
}

/// Lists the images in the class folders, at any depth. Names that begin with a dot are passed over.
pub(super) fn list(source: &Path) -> Result<Source, PackError> {
    let Folder { folders, files } = Folder::read(source)?;
    let mut listed = Source { classes: Vec::new(), images: Vec::new(), ignored_files: files.len() as u64 };
    for (label, class) in (0..).zip(folders) {
        let before = listed.images.len();
        list_class(source, &class, label, &mut listed)?;
        if listed.images.len() == before {
            tracing::warn!("{}: class folder without images", class.display());
        }
        listed.classes.push(file_name(&class));
    }
    if listed.images.is_empty() {
        return Err(PackError::NoImages { path: source.to_owned() });
    }
    make_keys_unique(&mut listed.images);
    Ok(listed)
}

/// Orders images by a hash of their key and the seed: as good as a shuffle, and the same in every listing order.
pub(super) fn shuffle(images: &mut [SourceImage], seed: u64) {
    images.sort_by_cached_key(|image| (xxh3_64_with_seed(image.key.as_bytes(), seed), image.key.clone()));
}

fn list_class(source: &Path, folder: &Path, label: u32, listed: &mut Source) -> Result<(), ShardError> {
    let Folder { folders, files } = Folder::read(folder)?;
    for path in files {
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if !is_image(extension.as_bytes()) {
            listed.ignored_files += 1;
            continue;
        }
        let bytes = fs::metadata(&path).map_err(ShardError::io("open", &path))?.len();
        let key = key(&path, source);
        listed.images.push(SourceImage { path, bytes, key, extension, label });
    }
    folders.iter().try_for_each(|folder| list_class(source, folder, label, listed))
}

/// `source/class/a.b.jpg` gives `class/a_b`.
fn key(path: &Path, source: &Path) -> String {
    let below = path.strip_prefix(source).unwrap_or(path);
    let folders = below.parent().into_iter().flat_map(Path::components);
    let mut parts: Vec<String> =
        folders.map(|folder| folder.as_os_str().to_string_lossy().into_owned()).collect();
    parts.push(path.file_stem().unwrap_or_default().to_string_lossy().replace('.', "_"));
    parts.join("/")
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

/// The entries of one folder that do not begin with a dot, sorted by name.
struct Folder {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Folder {
    fn read(path: &Path) -> Result<Folder, ShardError> {
        let mut folder = Folder { folders: Vec::new(), files: Vec::new() };
        for entry in fs::read_dir(path).map_err(ShardError::io("list", path))? {
            let path = entry.map_err(ShardError::io("list", path))?.path();
            if file_name(&path).starts_with('.') {
                continue;
            }
            if path.is_dir() { folder.folders.push(path) } else { folder.files.push(path) }
        }
        folder.folders.sort();
        folder.files.sort();
        Ok(folder)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
