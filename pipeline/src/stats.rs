//! Where the time goes: the waits of every queue, the steps of every worker, and the bottleneck.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::queue::Meter;
pub use crate::queue::QueueStats;
use crate::stages::work::WorkClock;

/// A callback for a piece of work of a stage: its name, start and duration.
pub type Observer = fn(&'static str, Instant, Duration);

static OBSERVER: OnceLock<Observer> = OnceLock::new();

/// Calls `observer` for each piece of work from now on, on the thread that did it, in all pipelines of the process: `read`,
/// `decode` and `augment` of a sample, `fetch` of a sample that is not in memory, `read ahead` of a chunk, and `collate` of a batch. Only
/// the first observer is registered.
pub fn observe(observer: Observer) {
    let _ = OBSERVER.set(observer);
}

/// Tells the observer, if there is one, of work that is over.
pub(crate) fn observed(name: &'static str, began: Instant, ended: Instant) {
    if let Some(observer) = OBSERVER.get() {
        observer(name, began, ended - began);
    }
}

/// Does a piece of work, and tells the observer, if there is one.
pub(crate) fn timed<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let began = OBSERVER.get().map(|_| Instant::now());
    let result = work();
    if let Some(began) = began {
        observed(name, began, Instant::now());
    }
    result
}

/// A pipeline's measurements from its start to now.
#[derive(Clone, Debug)]
pub struct PipelineStats {
    /// Wall-clock time since the start, in seconds.
    pub elapsed_s: f64,
    /// Number of workers.
    pub workers: usize,
    /// Images decoded and augmented.
    pub samples: u64,
    /// Time in `read` (page faults and checksum), summed over workers, in milliseconds.
    pub read_ms: f64,
    /// Time in `decode`, summed over workers, in milliseconds.
    pub decode_ms: f64,
    /// Time in `augment` (all views), summed over workers, in milliseconds.
    pub augment_ms: f64,
    /// The queues, from source to sink.
    pub queues: Vec<QueueStats>,
    /// The latest stall: the stage, its sample, and the fill level of every queue. `None` if there was none.
    pub stall: Option<String>,
}

/// What limits the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bottleneck {
    /// The consumer of the batches: the pipeline is faster.
    Consumer,
    /// Reading the shards.
    Read,
    /// Decoding.
    Decode,
    /// Augmentation.
    Augment,
}

/// A consumer that waits less than this share of its time is the bottleneck itself.
const CONSUMER_BOUND: f64 = 0.05;

impl PipelineStats {
    /// The measurements since `before`, an earlier measurement of the same pipeline.
    pub fn since(&self, before: &Self) -> Self {
        let queues = self.queues.iter().zip(&before.queues).map(|(now, before)| now.since(before)).collect();
        Self {
            elapsed_s: self.elapsed_s - before.elapsed_s,
            samples: self.samples - before.samples,
            read_ms: self.read_ms - before.read_ms,
            decode_ms: self.decode_ms - before.decode_ms,
            augment_ms: self.augment_ms - before.augment_ms,
            queues,
            ..self.clone()
        }
    }

    /// The consumer, if it hardly ever waits for a batch; otherwise the step in which the workers spend most of their
    /// time.
    pub fn bottleneck(&self) -> Bottleneck {
        let waited_ms = self.queues.last().map_or(0.0, |queue| queue.get_wait_ms);
        if waited_ms < CONSUMER_BOUND * 1e3 * self.elapsed_s {
            return Bottleneck::Consumer;
        }
        let steps = [
            (self.read_ms, Bottleneck::Read),
            (self.decode_ms, Bottleneck::Decode),
            (self.augment_ms, Bottleneck::Augment),
        ];
        steps.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map_or(Bottleneck::Read, |(_, step)| step)
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "consumer",
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Augment => "augment",
        })
    }
}

/// One line: the bottleneck, microseconds a sample in each step, and the queues' waits and fill.
impl fmt::Display for PipelineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ms: f64| 1e3 * ms / self.samples.max(1) as f64;
        write!(
            f,
            "bottleneck {}; a sample: read {:.0} us, decode {:.0} us, augment {:.0} us",
            self.bottleneck(),
            us(self.read_ms),
            us(self.decode_ms),
            us(self.augment_ms)
        )?;
        for queue in &self.queues {
            write!(
                f,
                "; {}: put-wait {:.0} ms, get-wait {:.0} ms, holds {:.1} of {}",
                queue.name, queue.put_wait_ms, queue.get_wait_ms, queue.mean_occupancy, queue.capacity
            )?;
        }
        Ok(())
    }
}

/// The measurements of a pipeline. They can be read from any thread, also after the pipeline has ended, and keep no
/// part of it alive.
#[derive(Clone)]
pub struct Gauges(pub(crate) Arc<Meters>);

impl Gauges {
    /// Waits, rates and the bottleneck since the start.
    pub fn stats(&self) -> PipelineStats {
        self.0.stats()
    }
}

/// The live counters behind [`PipelineStats`].
pub(crate) struct Meters {
    pub(crate) started: Instant,
    pub(crate) workers: usize,
    pub(crate) clock: Arc<WorkClock>,
    pub(crate) queues: Vec<Arc<Meter>>,
    pub(crate) stall: Arc<Mutex<Option<String>>>,
}

impl Meters {
    pub(crate) fn stats(&self) -> PipelineStats {
        let ms = |ns: &std::sync::atomic::AtomicU64| ns.load(Relaxed) as f64 / 1e6;
        PipelineStats {
            elapsed_s: self.started.elapsed().as_secs_f64(),
            workers: self.workers,
            samples: self.clock.samples.load(Relaxed),
            read_ms: ms(&self.clock.read_ns),
            decode_ms: ms(&self.clock.decode_ns),
            augment_ms: ms(&self.clock.augment_ns),
            queues: self.queues.iter().map(|meter| meter.stats()).collect(),
            stall: self.stall.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(waited_ms: f64, read_ms: f64, decode_ms: f64, augment_ms: f64) -> PipelineStats {
        let queue = QueueStats {
            name: "batches",
            capacity: 4,
            items: 10,
            holds: 0,
            mean_occupancy: 1.0,
            put_wait_ms: 0.0,
            get_wait_ms: waited_ms,
        };
        PipelineStats {
            elapsed_s: 10.0,
            workers: 2,
            samples: 100,
            read_ms,
            decode_ms,
            augment_ms,
            queues: vec![queue],
            stall: None,
        }
    }

    #[test]
    fn an_interval_has_its_own_bottleneck_and_occupancy() {
        let before = stats(9000.0, 1.0, 9.0, 5.0);
        let mut now = stats(9001.0, 1.0, 9.0, 5.0);
        (now.elapsed_s, now.samples) = (12.0, 300);
        (now.queues[0].items, now.queues[0].mean_occupancy) = (30, 3.0);
        let found = now.since(&before);
        assert_eq!((found.elapsed_s, found.samples), (2.0, 200));
        assert_eq!((found.queues[0].items, found.queues[0].mean_occupancy), (20, 4.0));
        assert_eq!((before.bottleneck(), found.bottleneck()), (Bottleneck::Decode, Bottleneck::Consumer));
    }

    #[test]
    fn the_bottleneck_is_named() {
        assert_eq!(stats(100.0, 1.0, 9.0, 5.0).bottleneck(), Bottleneck::Consumer);
        assert_eq!(stats(5000.0, 1.0, 9.0, 5.0).bottleneck(), Bottleneck::Decode);
        assert_eq!(stats(5000.0, 10.0, 9.0, 5.0).bottleneck(), Bottleneck::Read);
        assert_eq!(stats(5000.0, 1.0, 9.0, 50.0).bottleneck(), Bottleneck::Augment);
        assert!(
            stats(5000.0, 1.0, 9.0, 5.0).to_string().starts_with("bottleneck decode; a sample: read 10 us")
        );
    }
}
