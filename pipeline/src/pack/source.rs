//! The images to pack, with their keys and labels: those of a folder, or of a set of sources.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{ClassFolders, ClassTree};
use super::walk::{Found, FoundImage, walk};
use super::{PackError, SkippedFile};
use crate::decode::probe;
use crate::sampler::SampleSet;
use crate::shards::name::listing_order;
use crate::shards::{ReadCause, ShardError, ShardSet};

/// What a folder holds, and what becomes of it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// Sorted; the position of a name is its label.
    pub(super) classes: Vec<String>,
    /// Sorted by key.
    pub(super) images: Vec<SourceImage<'a>>,
    /// Files that are left out.
    pub(super) others: Vec<SkippedFile>,
}

/// One image.
#[derive(Debug)]
pub(super) struct SourceImage<'a> {
    /// The file; of a sample, its place.
    pub(super) path: PathBuf,
    /// In the encoded image.
    pub(super) bytes: u64,
    /// The path below the source without the extension, and without dots in the base name. Unique.
    pub(super) key: String,
    /// Whether that is not what the source calls it.
    pub(super) is_renamed: bool,
    /// As the file's name has it; empty where no name is known.
    extension: String,
    pub(super) label: Option<u32>,
    /// Where it is, if it is not a file of its own.
    sample: Option<(&'a ShardSet, u64)>,
}

impl SourceImage<'_> {
    /// The encoded image, or why it cannot be used.
    ///
    /// # Errors
    /// A file cannot be read, or a shard not be fetched.
    pub(super) fn read(&self) -> Result<Result<Vec<u8>, String>, ShardError> {
        let Some((set, sample)) = self.sample else {
            return fs::read(&self.path).map(Ok).map_err(ShardError::io("read", &self.path));
        };
        match set.read(sample).map_err(|error| error.cause) {
            Ok(encoded) => Ok(Ok(encoded.bytes.into_owned())),
            Err(ReadCause::Unreachable(cause)) => Err(ShardError::Remote(cause)),
            Err(cause) => Ok(Err(cause.to_string())),
        }
    }

    /// What the image is stored under.
    pub(super) fn extension(&self, encoded: &[u8]) -> String {
        if !self.extension.is_empty() {
            return self.extension.clone();
        }
        probe(encoded).map_or("jpg", |info| info.format.extension()).to_owned()
    }
}

/// Lists the images below `source`, at any depth, and settles their classes. Names that begin with a dot are passed over.
pub(super) fn list(
    source: &Path,
    out: &Path,
    asked: Option<ClassFolders>,
) -> Result<Source<'static>, PackError> {
    let mut found = walk(source)?;
    let layout = ClassTree::choose(source, out, &mut found, asked)?;
    let Found { images, others, .. } = found;
    if images.is_empty() {
        return Err(PackError::NoImages { path: source.to_owned(), others });
    }
    let mut images: Vec<_> = images.into_iter().map(|image| with_key(image, &layout)).collect();
    make_keys_unique(&mut images);
    warn_of_empty(source, &layout, &images);
    Ok(Source { classes: layout.classes, images, others })
}

/// The samples of a set that were chosen, in its order.
pub(super) fn of_set<'a>(set: &'a ShardSet, chosen: Option<&SampleSet>) -> Source<'a> {
    let count = chosen.map_or(set.len(), SampleSet::len);
    let samples = (0..count).map(|place| chosen.map_or(place, |chosen| chosen.get(place)));
    let mut images: Vec<SourceImage<'_>> = samples.map(|sample| of_sample(set, sample)).collect();
    make_keys_unique(&mut images);
    images.sort_by_key(|image| image.sample.map(|(_, sample)| sample));
    let classes = set.class_names().map(<[String]>::to_vec).unwrap_or_default();
    Source { classes, images, others: Vec::new() }
}

fn of_sample(set: &ShardSet, sample: u64) -> SourceImage<'_> {
    let at = set.locate(sample);
    let (folder, base) = at.key.rsplit_once('/').map_or(("", &*at.key), |(folder, base)| (folder, base));
    // An archive's paths may begin with these, must not lead out of it, and a key must not be empty.
    let folder = folder.trim_start_matches("./").trim_matches('/');
    let folders = folder.split('/').filter(|part| !part.is_empty());
    let safe = folders.map(|part| if part == ".." { "__" } else { part }.to_owned());
    let name = if base.is_empty() { sample.to_string() } else { base.replace('.', "_") };
    let key = safe.chain([name]).collect::<Vec<_>>().join("/");
    let is_renamed = !key.ends_with(base) || folder.split('/').any(|part| part == "..");
    let bytes = set.encoded_bytes(sample);
    let label = set.label(sample);
    SourceImage {
        path: at.to_string().into(),
        bytes,
        key,
        is_renamed,
        extension: String::new(),
        label,
        sample: Some((set, sample)),
    }
}

/// Orders images by a hash of their key and the seed: as good as a shuffle, and the same in every listing order.
pub(super) fn shuffle(images: &mut [SourceImage<'_>], seed: u64) {
    images.sort_by_cached_key(|image| (xxh3_64_with_seed(image.key.as_bytes(), seed), image.key.clone()));
}

/// Orders images as a listing of the folder does.
pub(super) fn sort_by_name(images: &mut [SourceImage<'_>]) {
    if images.iter().all(|image| image.sample.is_some()) {
        return; // A set has an order of its own.
    }
    let name = |image: &SourceImage<'_>| image.path.as_os_str().as_encoded_bytes().to_owned();
    images.sort_by(|one, another| listing_order(&name(one), &name(another)));
}

/// `source/class/a.b.jpg` gives `class/a_b`.
fn with_key(image: FoundImage, layout: &ClassTree) -> SourceImage<'static> {
    let label = layout.label(&image);
    let FoundImage { path, bytes, mut folders, extension } = image;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_renamed = stem.contains('.');
    folders.push(stem.replace('.', "_"));
    SourceImage { path, bytes, key: folders.join("/"), is_renamed, extension, label, sample: None }
}

/// `a.jpg` and `a.png` have one key, and would be taken for one sample: the later ones get a number. Those that have the key as
/// their name come first.
fn make_keys_unique(images: &mut [SourceImage<'_>]) {
    images.sort_by(|a, b| (&a.key, a.is_renamed, &a.path).cmp(&(&b.key, b.is_renamed, &b.path)));
    let mut taken: HashSet<String> = HashSet::with_capacity(images.len());
    for image in images {
        let plain = image.key.clone();
        let mut number = 2;
        while !taken.insert(image.key.clone()) {
            image.key = format!("{plain}-{number}");
            image.is_renamed = true;
            number += 1;
        }
    }
}

fn warn_of_empty(source: &Path, layout: &ClassTree, images: &[SourceImage<'_>]) {
    let labels: HashSet<Option<u32>> = images.iter().map(|image| image.label).collect();
    for (label, class) in (0..).zip(&layout.classes) {
        if !labels.contains(&Some(label)) {
            tracing::warn!("{}: class folder without images", source.join(class).display());
        }
    }
}
