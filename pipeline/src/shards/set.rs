//! Many shards as one numbered sequence of samples.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::classes::{Classes, Lists};
use super::contents::Access;
use super::error::{ReadCause, ReadError, ShardError};
use super::fingerprint::Fingerprint;
use super::labels::{Labelling, Labels};
use super::pattern::Resolved;
use super::sample::{EncodedSample, Location};
use super::shard::Shard;
use super::{open, pattern, warnings};
use crate::sampler::{Mixture, SampleSet};

/// How to open a set of shards.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// The folder for indexes of shards in read-only folders, and for unpacked or fetched data. `None`:
    /// `$XDG_CACHE_HOME/simsiam`, or `~/.cache/simsiam`.
    pub cache_dir: Option<PathBuf>,
    /// Whether indexes are stored for the next time. Default: yes.
    pub store_indexes: bool,
    /// Maximum size of the fetched shards there, in bytes. Default: 50 GiB.
    pub cache_size: u64,
    /// Threads that index shards, at most one per shard. Default: the number of cores.
    pub threads: usize,
    /// The class names, as [`ShardSet::class_names`] of another set gives them. A name is numbered by its position in
    /// the list; a numeric label, by the name that these shards' own `classes.txt` gives it. `None`: the names of
    /// `classes.txt`, or of these shards.
    pub class_names: Option<Vec<String>>,
    /// Where labels come from. Default: from the source itself.
    pub labels: Labels,
    /// By memory maps, or by copies without a fault handler. Default: memory maps.
    pub access: Access,
    /// Receives the progress of indexing, from any thread. Default: none.
    pub progress: IndexProgress,
}

/// A callback for the progress of indexing: bytes read, and total bytes of the shards to index.
#[derive(Clone, Default)]
pub struct IndexProgress(Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl IndexProgress {
    /// Calls `told(done, total)` from time to time; `total` grows as shards without a fresh index are found.
    pub fn new(told: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(super) fn tell(&self, done: u64, total: u64) {
        if let Some(told) = &self.0 {
            told(done, total);
        }
    }
}

impl std::fmt::Debug for IndexProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IndexProgress")
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        OpenOptions {
            cache_dir: None,
            store_indexes: true,
            cache_size: 50 << 30,
            threads,
            class_names: None,
            labels: Labels::default(),
            access: Access::default(),
            progress: IndexProgress::default(),
        }
    }
}

/// A set of shards and folders of images, with samples numbered from 0 to [`len`](Self::len).
///
/// Samples are ordered by the shards' paths, then by their order in the shard, independently of the patterns' order.
/// The set is read-only, so all threads can share it.
#[derive(Debug)]
pub struct ShardSet {
    pub(super) shards: Vec<Shard>,
    /// `first_samples[i]` is the number of the first sample of shard `i`; one more entry holds the total.
    first_samples: Vec<u64>,
    /// Where the patterns have weights.
    pub(super) mixture: Option<Mixture>,
    /// Says which lines of a table of labels belong to no sample.
    unmatched_labels: Option<String>,
    classes: Classes,
    /// Most bytes of remote shards that the cache holds.
    pub(super) cache_size: u64,
    /// Compressed tars beside the shards.
    compressed: Vec<PathBuf>,
    /// Images beside them.
    images_beside: Vec<PathBuf>,
    /// A fault that a test injects into every read: a disk that is slow, that hangs, or a reader that panics.
    #[cfg(test)]
    pub(crate) before_read: BeforeRead,
}

/// Called with the sample's number.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct BeforeRead(pub(crate) Option<Box<dyn Fn(u64) + Send + Sync>>);

#[cfg(test)]
impl std::fmt::Debug for BeforeRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BeforeRead")
    }
}

impl ShardSet {
    /// The files that the patterns match, in the order of their samples; see [`open`](Self::open). Lists of remote shards need a
    /// cache folder.
    ///
    /// # Errors
    /// If a path or pattern matches nothing.
    pub fn paths<P: AsRef<str>>(patterns: &[P], options: &OpenOptions) -> Result<Vec<PathBuf>, ShardError> {
        Ok(pattern::resolve(patterns, options)?.shards)
    }

    /// Opens everything that the patterns match, and indexes shards without a fresh index.
    ///
    /// A pattern is a tar, a zip or a Parquet file; a folder of these, or of images; a glob, or any of these with
    /// braces: `train-{000..003}.tar`, `{train,extra}-*.tar`; or the `.json` file in which WebDataset's `widsindex`
    /// lists shards. A file that several patterns match is used once. With weights (`photos/=0.7 paintings/=0.3`) each
    /// pattern is a set of a [mixture](Self::mixture).
    ///
    /// # Errors
    /// If a path or pattern matches nothing; if a source is damaged, of unknown type or without images; I/O.
    pub fn open<P: AsRef<str>>(patterns: &[P], options: &OpenOptions) -> Result<ShardSet, ShardError> {
        let resolved = pattern::resolve(patterns, options)?;
        // Where several shards are bad, the first in order is the one to be named.
        let labelling = Arc::new(Labelling::new(&options.labels)?);
        let shards: Vec<Shard> =
            open::open_all(&resolved, options, &labelling, true).into_iter().collect::<Result<_, _>>()?;
        labelling.check_use(&shards)?;
        let (mixture, unmatched_labels) = (mixture_of(&resolved)?, labelling.unmatched(&shards));
        Ok(Self { mixture, unmatched_labels, ..Self::of(shards, &resolved, options)? })
    }

    /// As [`open`](Self::open), but skips shards that cannot be opened: returns the set of the others, without a
    /// mixture, and the error of each skipped shard.
    ///
    /// # Errors
    /// The first shard's error if none can be opened; or if a path or pattern matches nothing.
    pub fn open_usable<P: AsRef<str>>(
        patterns: &[P],
        options: &OpenOptions,
    ) -> Result<(ShardSet, Vec<ShardError>), ShardError> {
        let resolved = pattern::resolve(patterns, options)?;
        let (mut shards, mut errors) = (Vec::new(), Vec::new());
        let labelling = Arc::new(Labelling::new(&options.labels)?);
        for opened in open::open_all(&resolved, options, &labelling, false) {
            match opened {
                Ok(shard) => shards.push(shard),
                Err(error) => errors.push(error),
            }
        }
        if shards.is_empty() {
            return Err(errors.swap_remove(0));
        }
        Ok((Self::of(shards, &resolved, options)?, errors))
    }

    fn of(mut shards: Vec<Shard>, resolved: &Resolved, options: &OpenOptions) -> Result<Self, ShardError> {
        let classes = Lists::beside(resolved)?.number_labels(&mut shards, options.class_names.as_deref());
        let mut first_samples = vec![0];
        let mut total = 0;
        for shard in &shards {
            tracing::debug!("shard {}: {} samples", shard.path().display(), shard.samples());
            total += shard.samples();
            first_samples.push(total);
        }
        tracing::info!("opened {total} samples, shards: {}", shards.len());
        Ok(Self {
            shards,
            first_samples,
            mixture: None,
            unmatched_labels: None,
            classes,
            cache_size: options.cache_size,
            compressed: resolved.compressed.clone(),
            images_beside: resolved.images_beside.clone(),
            #[cfg(test)]
            before_read: BeforeRead::default(),
        })
    }

    /// The mixture that the patterns' weights define, such as `photos/=0.7 paintings/=0.3`; `None` without weights.
    pub fn mixture(&self) -> Option<&Mixture> {
        self.mixture.as_ref()
    }

    /// Number of samples in all shards; at least 1.
    pub fn len(&self) -> u64 {
        self.first_samples.last().copied().unwrap_or(0)
    }

    /// Always false: a shard without images is an error.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A sample's bytes, borrowed from a mapping or copied, and checked against the index. Waits for the disk if they
    /// are a file of a folder.
    ///
    /// # Errors
    /// If the bytes are not those that were indexed or cannot be read, or if there is no such sample.
    pub fn read(&self, sample: u64) -> Result<EncodedSample<'_>, ReadError> {
        self.read_into(sample, Vec::new())
    }

    /// As [`read`](Self::read), or why the sample cannot be used.
    ///
    /// # Errors
    /// If its shard cannot be fetched: the sample may be as good as any.
    pub(crate) fn read_usable(&self, sample: u64) -> Result<Result<EncodedSample<'_>, String>, ShardError> {
        match self.read(sample).map_err(|error| error.cause) {
            Ok(encoded) => Ok(Ok(encoded)),
            Err(ReadCause::Unreachable(cause)) => Err(ShardError::Remote(cause)),
            Err(cause) => Ok(Err(cause.to_string())),
        }
    }

    /// As [`read`](Self::read); what has to be copied goes into `buffer`.
    pub(crate) fn read_into(&self, sample: u64, buffer: Vec<u8>) -> Result<EncodedSample<'_>, ReadError> {
        #[cfg(test)]
        if let Some(before_read) = &self.before_read.0 {
            before_read(sample);
        }
        let (shard, position) = self.find(sample).ok_or_else(|| self.out_of_range(sample))?;
        shard.read(position, buffer)
    }

    /// Whether reading a sample may wait for a disk or a network, so that no worker should.
    pub(crate) fn waits_for(&self, sample: u64) -> bool {
        self.find(sample).is_some_and(|(shard, _)| shard.waits())
    }

    /// The sample whose bytes another thread has read.
    pub(crate) fn with_bytes(&self, sample: u64, bytes: Vec<u8>) -> Result<EncodedSample<'_>, ReadError> {
        let (shard, position) = self.find(sample).ok_or_else(|| self.out_of_range(sample))?;
        shard.with_bytes(position, bytes)
    }

    /// As [`read`](Self::read), without touching more of the bytes than the caller does.
    pub(crate) fn peek(&self, sample: u64) -> Result<EncodedSample<'_>, ReadError> {
        let (shard, position) = self.find(sample).ok_or_else(|| self.out_of_range(sample))?;
        shard.peek(position, Vec::new())
    }

    /// Asks the system to load a sample's pages into memory, without waiting.
    pub fn read_ahead(&self, sample: u64) {
        if let Some((shard, position)) = self.find(sample) {
            shard.read_ahead(position);
        }
    }

    /// A sample's label; `None` when it has none or there is no such sample.
    pub fn label(&self, sample: u64) -> Option<u32> {
        let (shard, position) = self.find(sample)?;
        shard.label(position)
    }

    /// Whether every sample has a label.
    pub fn has_labels(&self) -> bool {
        self.shards.iter().all(|shard| shard.labelled() == shard.samples())
    }

    /// The class names; entry `i` names label `i`. They are the lines of `classes.txt` in the shards' folders, joined
    /// over several folders, and the labels that are names.
    pub fn class_names(&self) -> Option<&[String]> {
        self.classes.names.as_deref()
    }

    /// Whether a label means the same class in `other`, as far as is known. False if one has numbers and the other has
    /// names that are in no list.
    pub fn shares_labels_with(&self, other: &ShardSet) -> bool {
        let has_names = |set: &Self| set.shards.iter().any(|shard| !shard.names().is_empty());
        let has_numbers = |set: &Self| set.shards.iter().any(|shard| shard.numbered() > 0);
        let differ = |one, another| has_names(one) && !one.classes.listed && has_numbers(another);
        !differ(self, other) && !differ(other, self)
    }

    /// Warnings about these shards, one line each: images and labels that belong to no sample, archives that end early,
    /// and the [notes](Self::notes). They are the same each time the shards are opened.
    pub fn warnings(&self) -> Vec<String> {
        warnings::of_findings(&self.shards).into_iter().chain(self.notes()).collect()
    }

    /// Warnings besides the [findings](Shard::findings): class names that cannot be read or numbered, compressed tars in
    /// the same folders, and lines of a table of labels that belong to no sample.
    pub fn notes(&self) -> Vec<String> {
        let beside =
            [warnings::of_compressed(&self.compressed), warnings::of_images_beside(&self.images_beside)];
        let others = beside.into_iter().chain([self.unmatched_labels.clone()]).flatten();
        self.classes.warnings.iter().cloned().chain(others).collect()
    }

    /// Length of a sample's encoded image in bytes, as it was indexed; 0 if there is no such sample.
    pub(crate) fn encoded_bytes(&self, sample: u64) -> u64 {
        self.find(sample).map_or(0, |(shard, position)| shard.encoded_bytes(position))
    }

    /// The location of a sample, for error messages; empty if the number is out of range.
    pub fn locate(&self, sample: u64) -> Location<'_> {
        match self.find(sample) {
            Some((shard, position)) => shard.locate(position),
            None => Location { shard: Path::new("").into(), sample, offset: 0, key: String::new() },
        }
    }

    /// The shards, in the order of their samples.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &Shard> {
        self.shards.iter()
    }

    /// Identifies the images, independently of the files that hold them. Cheap to compute.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = Fingerprint::EMPTY;
        self.shards.iter().for_each(|shard| fingerprint.append(&shard.fingerprint()));
        fingerprint
    }

    /// Number of the `chosen` samples of this set that are also among the chosen ones of `other` (`None` for all): those
    /// whose length and CRC-32 equal those of one of its samples. If an index has no CRC-32, the images whose lengths
    /// occur in both sets are read.
    pub fn shared_with(
        &self,
        chosen: Option<&SampleSet>,
        other: &ShardSet,
        others: Option<&SampleSet>,
    ) -> u64 {
        let theirs = || other.images().filter(|(sample, ..)| others.is_none_or(|set| set.contains(*sample)));
        let lengths: HashSet<u32> = theirs().map(|(_, length, _)| length).collect();
        let mut own: HashMap<(u32, u32), (u64, bool)> = HashMap::new();
        let ours = self.images().filter(|(sample, ..)| chosen.is_none_or(|set| set.contains(*sample)));
        for image in ours.filter(|(_, length, _)| lengths.contains(length)) {
            own.entry(self.identity(image)).or_default().0 += 1;
        }
        let lengths: HashSet<u32> = own.keys().map(|(length, _)| *length).collect();
        for image in theirs().filter(|(_, length, _)| lengths.contains(length)) {
            if let Some((_, is_shared)) = own.get_mut(&other.identity(image)) {
                *is_shared = true;
            }
        }
        own.values().filter(|(_, is_shared)| *is_shared).map(|(count, _)| count).sum()
    }

    /// Number and length of every sample, and its CRC-32 where that is known.
    fn images(&self) -> impl Iterator<Item = (u64, u32, Option<u32>)> {
        let images = self.shards.iter().flat_map(Shard::images);
        (0..).zip(images).map(|(sample, (length, crc32))| (sample, length, crc32))
    }

    /// Length and CRC-32; 0 for what cannot be read.
    fn identity(&self, (sample, length, crc32): (u64, u32, Option<u32>)) -> (u32, u32) {
        let read = || self.read(sample).map_or(0, |encoded| crc32fast::hash(&encoded.bytes));
        (length, crc32.unwrap_or_else(read))
    }

    /// The shard that holds a sample, and the sample's number there.
    fn find(&self, sample: u64) -> Option<(&Shard, u64)> {
        let after = self.first_samples.partition_point(|&first| first <= sample);
        let shard = self.shards.get(after.checked_sub(1)?)?;
        Some((shard, sample - self.first_samples[after - 1]))
    }

    fn out_of_range(&self, sample: u64) -> ReadError {
        let at = self.locate(sample).into_owned();
        ReadError { at, cause: ReadCause::OutOfRange { len: self.len() } }
    }

    /// The number of each shard's first sample, followed by the total.
    pub fn first_samples(&self) -> &[u64] {
        &self.first_samples
    }
}

fn mixture_of(Resolved { sets, .. }: &Resolved) -> Result<Option<Mixture>, ShardError> {
    if sets.is_empty() {
        return Ok(None);
    }
    let set_of_shard =
        sets.iter().enumerate().flat_map(|(set, (_, shards))| std::iter::repeat_n(set, *shards));
    let of_sets = sets.iter().map(|(set, _)| set.clone()).collect();
    Ok(Some(Mixture::new(of_sets, set_of_shard.collect())?))
}
