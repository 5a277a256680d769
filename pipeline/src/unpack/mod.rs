//! Writes a shard's images as files, the counterpart of [`pack`](crate::pack).
//!
//! ```text
//! train-000.tar: n01440764/x.JPEG, label 0   ->  OUT/n01440764/x.JPEG   where classes.txt names label 0 so
//!                0001.jpg, label 7               OUT/7/0001.jpg         where nothing names label 7
//!                a/b.png, no label               OUT/a_b.png            so that it is no class folder's
//! ```
//! No file is ever written outside of `OUT`, whatever the keys are.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use self::folder::{NewFolder, WriteError};
use self::names::Names;
pub use self::report::{UnpackError, UnpackReport};
use crate::decode::{DecodeLimits, Decoder, probe};
use crate::in_shares::in_shares;
use crate::sampler::SampleSet;
use crate::shards::{EncodedSample, ShardError, ShardSet};

mod folder;
mod names;
mod report;

/// How to write images.
#[derive(Debug, Clone)]
pub struct UnpackOptions {
    /// The format of the written images.
    pub format: UnpackFormat,
    /// The samples to write. Default: all.
    pub chosen: Option<SampleSet>,
    /// Threads that read and decode. Default: the number of cores.
    pub threads: usize,
    /// Set from elsewhere, such as a signal handler, to stop early.
    pub stop: Arc<AtomicBool>,
}

/// The format of the written images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnpackFormat {
    /// The original file, byte for byte, with its own extension.
    #[default]
    Original,
    /// The decoded pixels, as augmentation receives them, as a PNG.
    Png,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        UnpackOptions { format: UnpackFormat::default(), chosen: None, threads, stop: Arc::default() }
    }
}

/// The progress of [`unpack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackProgress {
    /// Samples written or left out.
    pub done: u64,
    /// Samples to write.
    pub total: u64,
}

/// Writes the images of `set` into `out`, which is created if it does not exist: into a folder per class, or into `out`
/// itself for images without a label. Unusable images are left out and listed.
///
/// # Errors
/// If `out` is not empty or cannot be written; if [`UnpackOptions::stop`] is set, in which case the written files stay.
pub fn unpack(
    set: &ShardSet,
    out: &Path,
    options: &UnpackOptions,
    progress: &mut dyn FnMut(UnpackProgress),
) -> Result<UnpackReport, UnpackError> {
    let mut folder = NewFolder::create(out)?;
    let names = Names::new(set);
    let mut report = UnpackReport::default();
    let chosen = options.chosen.as_ref();
    let total = chosen.map_or(set.len(), SampleSet::len);
    let (mut done, mut after) = (0, 0);
    for shard in set.shards() {
        let first = after;
        after += shard.samples();
        let samples: Vec<u64> = match chosen {
            Some(chosen) => {
                (chosen.before(first)..chosen.before(after)).map(|place| chosen.get(place)).collect()
            }
            None => (first..after).collect(),
        };
        let extensions = match options.format {
            UnpackFormat::Original if !samples.is_empty() => shard.extensions(),
            _ => HashMap::new(),
        };
        // Bounds what is in memory, and gives each thread a few images between two waits for the writer.
        for chunk in samples.chunks(4 * options.threads.max(1)) {
            let load_share = |share: &[u64]| load(set, share, options.format);
            let loaded = in_shares(chunk, options.threads, "unpack", load_share);
            let loaded: Vec<Vec<Loaded>> = loaded.into_iter().collect::<Result<_, _>>()?;
            for (&sample, image) in chunk.iter().zip(loaded.into_iter().flatten()) {
                let at = set.locate(sample);
                let extension = extensions.get(&at.sample).map(String::as_str).filter(|own| !own.is_empty());
                let label = set.label(sample);
                let put = |image: Image| {
                    let place = names.place(&at.key, extension.unwrap_or(image.extension), label);
                    folder.write(&place, &image.bytes)
                };
                match image.map(put) {
                    Ok(Ok(name)) => report.count(label, name),
                    Ok(Err(WriteError::Name(cause))) | Err(cause) => report.leave_out(sample, at, cause),
                    Ok(Err(WriteError::Folder(error))) => return Err(error.into()),
                }
                done += 1;
            }
            progress(UnpackProgress { done, total });
            if options.stop.load(Ordering::Relaxed) {
                return Err(UnpackError::Stopped);
            }
        }
    }
    Ok(report)
}

/// What is to be written, and the extension that it has where its member's name gives none.
struct Image {
    bytes: Vec<u8>,
    extension: &'static str,
}

/// What becomes of a sample, or why it cannot be used.
type Loaded = Result<Image, String>;

/// What becomes of each sample.
///
/// # Errors
/// If a shard cannot be fetched.
fn load(set: &ShardSet, samples: &[u64], format: UnpackFormat) -> Result<Vec<Loaded>, ShardError> {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let mut load_one = |encoded: EncodedSample<'_>| -> Loaded {
        let image = match format {
            UnpackFormat::Original => Ok(original(&encoded.bytes)),
            UnpackFormat::Png => png(&encoded.bytes, &mut decoder),
        };
        encoded.check_intact().map_err(|error| error.cause.to_string())?;
        image
    };
    let each = samples.iter().map(|&sample| Ok(set.read_usable(sample)?.and_then(&mut load_one)));
    each.collect()
}

fn original(bytes: &[u8]) -> Image {
    let extension = probe(bytes).map_or("jpg", |info| info.format.extension());
    Image { bytes: bytes.to_owned(), extension }
}

fn png(bytes: &[u8], decoder: &mut Decoder) -> Result<Image, String> {
    let decoded = decoder.decode(bytes).map_err(|error| error.to_string())?;
    let side = |pixels: usize| u32::try_from(pixels).map_err(|error| error.to_string());
    let (width, height) = (side(decoded.width)?, side(decoded.height)?);
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(decoded.pixels, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(Image { bytes, extension: "png" })
}
