//! Counts the contents of shards and, on request, decodes every image.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

pub use self::report::{Found, Report, Spread, UnusableSample};
pub(crate) use self::table::grouped;
use self::tally::Tally;
use crate::decode::{DecodeLimits, Decoder, ImageInfo, probe};
use crate::sampler::SampleSet;
use crate::shards::ShardSet;

mod report;
mod table;
mod tally;

/// How to inspect a set of shards.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Decodes every image and compares every checksum, instead of reading only headers.
    pub verify: bool,
    /// The samples to inspect. Default: all.
    pub chosen: Option<SampleSet>,
    /// Threads that read and decode. Default: the number of cores.
    pub threads: usize,
}

impl Default for InspectOptions {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        InspectOptions { verify: false, chosen: None, threads }
    }
}

/// The progress of [`inspect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectProgress {
    /// Samples inspected so far.
    pub done: u64,
    /// Samples to inspect.
    pub total: u64,
    /// Bad samples among `done`.
    pub bad: u64,
}

/// Samples that a thread takes at a time: tens of milliseconds of decoding.
const CHUNK: u64 = 64;

/// Inspects the chosen samples of `set`, and calls `progress` from time to time on this thread.
pub fn inspect(
    set: &ShardSet,
    options: &InspectOptions,
    progress: &mut dyn FnMut(InspectProgress),
) -> Report {
    let threads = options.threads.max(1);
    let next = AtomicU64::new(0);
    let (tallies, counted) = sync_channel(2 * threads);
    let mut total = Tally::default();
    thread::scope(|scope| {
        for number in 0..threads {
            let (next, tallies) = (&next, tallies.clone());
            let work = move || count_chunks(set, options, next, &tallies);
            let builder = thread::Builder::new().name(format!("inspect-{number}"));
            builder.spawn_scoped(scope, work).expect("the system can start a thread");
        }
        drop(tallies);
        for tally in counted {
            total.merge(tally);
            let (done, bad) = (total.samples, total.bad.len() as u64);
            progress(InspectProgress { done, total: samples(set, options), bad });
        }
    });
    total.into_report(set, options.verify)
}

/// How many samples there are to look at.
fn samples(set: &ShardSet, options: &InspectOptions) -> u64 {
    options.chosen.as_ref().map_or(set.len(), SampleSet::len)
}

/// One worker: takes chunks of samples until there are none left.
fn count_chunks(set: &ShardSet, options: &InspectOptions, next: &AtomicU64, tallies: &SyncSender<Tally>) {
    let mut decoder = Decoder::new(DecodeLimits::default());
    let total = samples(set, options);
    loop {
        let start = next.fetch_add(CHUNK, Ordering::Relaxed);
        if start >= total {
            return;
        }
        let mut tally = Tally::default();
        for place in start..total.min(start + CHUNK) {
            let sample = options.chosen.as_ref().map_or(place, |chosen| chosen.get(place));
            let looked_at =
                if options.verify { verify_sample(set, sample, &mut decoder) } else { glance(set, sample) };
            tally.add(set, sample, looked_at);
        }
        if tallies.send(tally).is_err() {
            return;
        }
    }
}

/// What an image's header says, and the image's size in bytes.
type LookedAt = Result<(ImageInfo, u64), String>;

/// Reads no more than the header.
fn glance(set: &ShardSet, sample: u64) -> LookedAt {
    let encoded = set.peek(sample).map_err(|error| error.cause.to_string())?;
    let info = probe(&encoded.bytes).map_err(|error| error.to_string())?;
    encoded.check_pages().map_err(|error| error.cause.to_string())?;
    Ok((info, encoded.bytes.len() as u64))
}

/// Reads and decodes everything.
fn verify_sample(set: &ShardSet, sample: u64, decoder: &mut Decoder) -> LookedAt {
    let encoded = set.read(sample).map_err(|error| error.cause.to_string())?;
    let info = probe(&encoded.bytes).map_err(|error| error.to_string())?;
    let verified = decoder.verify(&encoded.bytes);
    encoded.check_intact().map_err(|error| error.cause.to_string())?;
    verified.map_err(|error| error.to_string())?;
    Ok((info, encoded.bytes.len() as u64))
}
