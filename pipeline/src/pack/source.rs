//! The samples to pack, and the keys that they are stored under.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::decode::probe;
use crate::sampler::SampleSet;
use crate::shards::{ShardError, ShardSet};

/// One image.
#[derive(Debug)]
pub(super) struct SourceImage<'a> {
    set: &'a ShardSet,
    sample: u64,
    /// In the encoded image.
    pub(super) bytes: u64,
    /// Its key in the source, without dots in the base name. Unique.
    pub(super) key: String,
    /// Whether that is not what the source calls it.
    pub(super) is_renamed: bool,
    pub(super) label: Option<u32>,
}

impl SourceImage<'_> {
    /// Its place, for messages.
    pub(super) fn at(&self) -> String {
        self.set.locate(self.sample).to_string()
    }

    /// The encoded image, or why it cannot be used.
    ///
    /// # Errors
    /// A shard cannot be fetched.
    pub(super) fn read(&self) -> Result<Result<Vec<u8>, String>, ShardError> {
        let usable = self.set.read_usable(self.sample)?;
        Ok(usable.map(|encoded| encoded.bytes.into_owned()))
    }
}

/// What an encoded image is stored under.
pub(super) fn extension(encoded: &[u8]) -> &'static str {
    probe(encoded).map_or("jpg", |info| info.format.extension())
}

/// The samples of a set that were chosen, in its order.
pub(super) fn list<'a>(set: &'a ShardSet, chosen: Option<&SampleSet>) -> Vec<SourceImage<'a>> {
    let count = chosen.map_or(set.len(), SampleSet::len);
    let samples = (0..count).map(|place| chosen.map_or(place, |chosen| chosen.get(place)));
    let mut images: Vec<SourceImage<'_>> = samples.map(|sample| of_sample(set, sample)).collect();
    make_keys_unique(&mut images);
    images.sort_by_key(|image| image.sample);
    images
}

/// `class/a.b` gives `class/a_b`.
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
    let (bytes, label) = (set.encoded_bytes(sample), set.label(sample));
    SourceImage { set, sample, bytes, key, is_renamed, label }
}

/// Orders images by a hash of their key and the seed: as good as a shuffle, and the same in every listing order.
pub(super) fn shuffle(images: &mut [SourceImage<'_>], seed: u64) {
    images.sort_by_cached_key(|image| (xxh3_64_with_seed(image.key.as_bytes(), seed), image.key.clone()));
}

/// `a.jpg` and `a.png` have one key, and would be taken for one sample: the later ones get a number. Those that have the key as
/// their name come first.
fn make_keys_unique(images: &mut [SourceImage<'_>]) {
    images.sort_by(|a, b| (&a.key, a.is_renamed, a.sample).cmp(&(&b.key, b.is_renamed, b.sample)));
    let mut taken: HashSet<String> = HashSet::with_capacity(images.len());
    // Where those of one key follow each other, the numbers go on.
    let (mut before, mut number) = (String::new(), 1);
    for image in images {
        if image.key != before {
            (before, number) = (image.key.clone(), 1);
        }
        while !taken.insert(image.key.clone()) {
            number += 1;
            image.key = format!("{before}-{number}");
            image.is_renamed = true;
        }
    }
}
