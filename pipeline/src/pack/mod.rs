//! Writes shards from a folder of images, or from any other source.
//!
//! ```text
//! SRC/n01440764/x.JPEG  ->  OUT/train-000.tar: n01440764/x.jpg, n01440764/x.cls   (label 0)
//! SRC/n01443537/sub/y.png                     n01443537/sub/y.png, ...            (label 1)
//!                           OUT/classes.txt:   n01440764, n01443537
//! ```
//! Samples, labels and class names are those of the [`ShardSet`], so training on the shards equals training on the source.
//!
//! The same source, options and order give the same bytes, whatever order the file system lists the files in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::encode::Encoding;
pub use self::report::{PackError, PackReport, SkippedSample};
use self::rolling::RollingShards;
use self::source::SourceImage;
use crate::in_shares::in_shares;
use crate::sampler::SampleSet;
use crate::shards::{
    AtomicFile, CLASSES_FILE, Finding, FindingKind, OpenOptions, Shard, ShardError, ShardSet,
};

mod encode;
mod report;
mod rolling;
mod source;

/// How to write shards.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Size at which a shard is closed, in bytes. Default: 256 MiB, large enough to read shards at full disk speed.
    pub shard_bytes: u64,
    /// The order of the images in the shards.
    pub order: PackOrder,
    /// The longest side of an image, in pixels; larger images are scaled down to it. Default: no limit.
    pub max_side: Option<u32>,
    /// JPEG quality, 1 to 100, at which every image is re-encoded. Default: images that need no scaling are copied byte
    /// for byte, and the others are encoded at quality 95.
    pub quality: Option<u8>,
    /// Prefix of the shards' names: `train` gives `train-000.tar`.
    pub prefix: String,
    /// Threads that read and encode. Default: the number of cores.
    pub threads: usize,
    /// Set from elsewhere, such as a signal handler, to stop early.
    pub stop: Arc<AtomicBool>,
}

impl Default for PackOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        PackOptions {
            shard_bytes: 256 << 20,
            order: PackOrder::Shuffled { seed: 0 },
            max_side: None,
            quality: None,
            prefix: "train".into(),
            threads,
            stop: Arc::default(),
        }
    }
}

/// The order in which images are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackOrder {
    /// A random order, so that neighbours in a shard are of all classes.
    Shuffled {
        /// Selects the shuffle.
        seed: u64,
    },
    /// The source's own order, which is that of the names in a folder: training on the shards equals training on the source.
    Source,
}

/// The progress of [`pack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackProgress {
    /// Images packed or skipped.
    pub done: u64,
    /// Images found.
    pub total: u64,
    /// Bytes written to shards.
    pub bytes: u64,
}

/// Packs all images that a pattern matches, with their own labels: [`pack_set`] of the set that [`ShardSet::open`] gives for it.
///
/// # Errors
/// If there are no images; else as [`pack_set`].
pub fn pack(
    pattern: &str,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    // What is read once needs no index afterwards.
    let opened = OpenOptions { store_indexes: false, ..OpenOptions::default() };
    pack_set(&ShardSet::open(&[pattern], &opened)?, None, out, options, progress)
}

/// Packs the chosen samples of a set into shards in `out`, which is created if it does not exist.
///
/// Each shard appears only when it is complete. Samples that cannot be read, or are another kind of file than their names say, are
/// left out and listed. Images that cannot be decoded are packed unchanged if nothing is re-encoded, and left out otherwise.
///
/// # Errors
/// If the set's folders may be classes or something else; if `out` already holds shards; if an option is out of range; if no
/// sample is usable; if [`PackOptions::stop`] is set, in which case the complete shards stay; I/O.
pub fn pack_set(
    set: &ShardSet,
    chosen: Option<&SampleSet>,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    let encoding = Encoding::new(options)?;
    check_folders(set)?;
    check_out(out)?;
    fs::create_dir_all(out).map_err(ShardError::io("create", out))?;
    let mut images = source::list(set, chosen);
    if let PackOrder::Shuffled { seed } = options.order {
        source::shuffle(&mut images, seed);
    }

    let mut shards = RollingShards::new(out, options, &images);
    let (mut done, mut skipped) = (0, Vec::new());
    // Bounds what is in memory, and gives each thread a few images between two waits for the writer.
    for chunk in images.chunks(16 * options.threads.max(1)) {
        for (image, loaded) in chunk.iter().zip(load(chunk, encoding, options.threads)?) {
            match loaded {
                Ok((extension, bytes)) => shards.append(image, extension, &bytes)?,
                Err(cause) => skipped.push(SkippedSample { at: image.at(), cause }),
            }
            done += 1;
        }
        progress(PackProgress { done, total: images.len() as u64, bytes: shards.bytes() });
        if options.stop.load(Ordering::Relaxed) {
            return Err(PackError::Stopped);
        }
    }
    if skipped.len() == images.len() {
        return Err(PackError::AllSkipped { images: done, first: skipped.swap_remove(0) });
    }
    let classes = set.class_names().map(<[String]>::to_vec).unwrap_or_default();
    if !classes.is_empty() {
        write_lines(&out.join(CLASSES_FILE), &classes)?;
    }
    let renamed = images.iter().filter(|image| image.is_renamed).count() as u64;
    let images = done - skipped.len() as u64;
    let (shards, bytes) = shards.finish()?;
    let left_out = list_left_out(out, &skipped)?;
    Ok(PackReport { classes, shards, images, bytes, renamed, skipped, left_out })
}

/// Shards without the labels that were meant would be noticed late.
fn check_folders(set: &ShardSet) -> Result<(), PackError> {
    let mut findings = set.shards().flat_map(Shard::findings);
    findings.find(|finding| finding.kind == FindingKind::UnclearFolders).map_or(Ok(()), |finding| {
        let Finding { shard, found, .. } = finding.into_owned();
        Err(PackError::UnclearFolders { path: shard.into_owned(), found: found.into_owned() })
    })
}

fn check_out(out: &Path) -> Result<(), PackError> {
    let Ok(entries) = fs::read_dir(out) else { return Ok(()) };
    for entry in entries {
        let found = entry.map_err(ShardError::io("list", out))?.file_name().to_string_lossy().into_owned();
        if found.ends_with(".tar") {
            return Err(PackError::NotEmpty { path: out.to_owned(), found });
        }
    }
    Ok(())
}

/// Extension and bytes as they go into the shard, or why they do not.
type Loaded = Result<(&'static str, Vec<u8>), String>;

/// Reads, and where asked encodes, images on several threads; the result has their order.
fn load(images: &[SourceImage<'_>], encoding: Encoding, threads: usize) -> Result<Vec<Loaded>, ShardError> {
    let load_share = |share: &[SourceImage<'_>]| -> Result<Vec<Loaded>, ShardError> {
        share.iter().map(|image| encode::load(image, encoding)).collect()
    };
    let shares: Vec<_> =
        in_shares(images, threads, "pack", load_share).into_iter().collect::<Result<_, _>>()?;
    Ok(shares.into_iter().flatten().collect())
}

/// Writes the list of all samples that are in no shard, if there are any; gives back its path.
fn list_left_out(out: &Path, skipped: &[SkippedSample]) -> Result<Option<PathBuf>, ShardError> {
    let lines: Vec<_> = skipped.iter().map(SkippedSample::to_string).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let path = out.join("left-out.txt");
    write_lines(&path, &lines)?;
    Ok(Some(path))
}

fn write_lines(path: &Path, lines: &[String]) -> Result<(), ShardError> {
    // A name may have line ends in it.
    let text: String = lines.iter().map(|line| line.replace(['\n', '\r'], " ") + "\n").collect();
    AtomicFile::write_all_to(path, text.as_bytes()).map_err(ShardError::io("write", path))
}
