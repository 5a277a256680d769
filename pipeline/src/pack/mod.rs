//! Writes shards from a folder of images, or from an ImageFolder: one folder of images for each class.
//!
//! ```text
//! SRC/n01440764/x.JPEG  ->  OUT/train-000.tar: n01440764/x.JPEG, n01440764/x.cls   (label 0)
//! SRC/n01443537/sub/y.png                     n01443537/sub/y.png, ...             (label 1)
//!                           OUT/classes.txt:   n01440764, n01443537
//! ```
//! Labels are numbered in the order of the class folders' names, as in torchvision's `ImageFolder`. Images directly in
//! the source have no label. An ambiguous layout (nested folders, both `SRC/train/CLASS` and `SRC/val/CLASS`, images
//! next to folders) is an error, unless [`PackOptions::classes`] resolves it.
//!
//! Links are followed. Dangling and circular links, pipes, sockets, devices and files that are not images are left out
//! and listed. Names that begin with a dot are ignored.
//!
//! The same source, options and order give the same bytes, whatever order the file system lists the files in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::encode::Encoding;
pub use self::layout::ClassFolders;
pub(crate) use self::layout::is_part as is_part_of_a_data_set;
pub use self::report::{PackError, PackReport, SkippedFile};
use self::rolling::RollingShards;
use self::source::{Source, SourceImage};
use crate::in_shares::in_shares;
use crate::sampler::SampleSet;
use crate::shards::{AtomicFile, CLASSES_FILE, ShardError, ShardSet};

mod encode;
mod layout;
mod report;
mod rolling;
mod source;
mod walk;

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
    /// How the class of an image is determined. Default: the source's folders are the classes, if each has images of
    /// its own.
    pub classes: Option<ClassFolders>,
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
            classes: None,
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
    /// The order of the names, folder by folder: training on the shards equals training on the folder itself.
    Names,
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

/// Packs the images of `source` into shards in `out`, which is created if it does not exist.
///
/// Each shard appears only when it is complete. Files that are not images, whatever their names, are left out and
/// listed. Images that cannot be decoded are packed unchanged if nothing is re-encoded, and left out otherwise.
///
/// # Errors
/// If there are no images; if `out` already holds shards; if an option is out of range; if no image can be decoded; if
/// [`PackOptions::stop`] is set, in which case the complete shards stay; I/O.
pub fn pack(
    source: &Path,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    let encoding = Encoding::new(options)?;
    write(source::list(source, out, options.classes)?, encoding, out, options, progress)
}

/// Packs the chosen samples of a set, of any source, with its labels and class names. As [`pack`], but unreadable
/// samples are also left out, and [`PackOrder::Names`] is the set's own order.
///
/// # Errors
/// If `out` already holds shards; if an option is out of range; if no sample is usable; I/O.
pub fn pack_set(
    set: &ShardSet,
    chosen: Option<&SampleSet>,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    let encoding = Encoding::new(options)?;
    write(source::of_set(set, chosen), encoding, out, options, progress)
}

fn write(
    source: Source<'_>,
    encoding: Encoding,
    out: &Path,
    options: &PackOptions,
    progress: &mut dyn FnMut(PackProgress),
) -> Result<PackReport, PackError> {
    let Source { classes, mut images, others } = source;
    check_out(out)?;
    fs::create_dir_all(out).map_err(ShardError::io("create", out))?;
    match options.order {
        PackOrder::Shuffled { seed } => source::shuffle(&mut images, seed),
        PackOrder::Names => source::sort_by_name(&mut images),
    }

    let mut shards = RollingShards::new(out, options, &images);
    let (mut done, mut skipped) = (0, Vec::new());
    // Bounds what is in memory, and gives each thread a few images between two waits for the writer.
    for chunk in images.chunks(16 * options.threads.max(1)) {
        for (image, loaded) in chunk.iter().zip(load(chunk, encoding, options.threads)?) {
            match loaded {
                Ok((extension, bytes)) => shards.append(image, &extension, &bytes)?,
                Err(cause) => skipped.push(SkippedFile { path: image.path.clone(), cause }),
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
    if !classes.is_empty() {
        write_lines(&out.join(CLASSES_FILE), &classes)?;
    }
    let renamed = images.iter().filter(|image| image.is_renamed).count() as u64;
    let images = done - skipped.len() as u64;
    let (shards, bytes) = shards.finish()?;
    let left_out = list_left_out(out, &skipped, &others)?;
    Ok(PackReport { classes, shards, images, bytes, renamed, skipped, others, left_out })
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
type Loaded = Result<(String, Vec<u8>), String>;

/// Reads, and where asked encodes, images on several threads; the result has their order.
fn load(images: &[SourceImage<'_>], encoding: Encoding, threads: usize) -> Result<Vec<Loaded>, ShardError> {
    let load_share = |share: &[SourceImage<'_>]| -> Result<Vec<Loaded>, ShardError> {
        share.iter().map(|image| encode::load(image, encoding)).collect()
    };
    let shares: Vec<_> =
        in_shares(images, threads, "pack", load_share).into_iter().collect::<Result<_, _>>()?;
    Ok(shares.into_iter().flatten().collect())
}

/// Writes the list of all files that are in no shard, if there are any; gives back its path.
fn list_left_out(
    out: &Path,
    skipped: &[SkippedFile],
    others: &[SkippedFile],
) -> Result<Option<PathBuf>, ShardError> {
    let lines: Vec<_> = skipped.iter().chain(others).map(SkippedFile::to_string).collect();
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
