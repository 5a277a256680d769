//! How the loader kept up with training, in a log line.

use serde::{Deserialize, Serialize};
use simsiam_pipeline::stats::{Bottleneck, PipelineStats, QueueStats};

/// The pipeline since the last log line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineMetrics {
    /// What limited the rate.
    pub bottleneck: Bottleneck,
    /// Images that the workers finished, a second.
    pub images_per_s: f64,
    /// What the workers did with their time.
    pub busy: WorkerTime,
    /// The queues, source to sink.
    pub queues: Vec<QueueMetrics>,
}

/// Shares of the workers' time, 0 to 1; they waited for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the stages' names")]
pub struct WorkerTime {
    pub read: f64,
    pub decode: f64,
    pub augment: f64,
}

/// A queue since the last log line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueMetrics {
    /// What flows through it.
    pub name: String,
    /// Items that it holds at most.
    pub capacity: usize,
    /// Items that a consumer found in it, on average.
    pub occupancy: f64,
    /// Items taken from it, a second.
    pub items_per_s: f64,
    /// Seconds that producers waited for room, summed over producers, a second.
    pub put_wait: f64,
    /// Seconds that consumers waited for an item, summed over consumers, a second.
    pub get_wait: f64,
}

impl PipelineMetrics {
    /// What these measurements of an interval come to.
    pub fn of(interval: &PipelineStats) -> Self {
        let elapsed_s = interval.elapsed_s.max(1e-9);
        let share = |ms: f64| short(ms / 1e3 / (elapsed_s * interval.workers.max(1) as f64));
        Self {
            bottleneck: interval.bottleneck(),
            images_per_s: short(interval.samples as f64 / elapsed_s),
            busy: WorkerTime {
                read: share(interval.read_ms),
                decode: share(interval.decode_ms),
                augment: share(interval.augment_ms),
            },
            queues: interval.queues.iter().map(|queue| QueueMetrics::of(queue, elapsed_s)).collect(),
        }
    }

    /// The queue that training takes its batches from.
    pub fn batches(&self) -> Option<&QueueMetrics> {
        self.queues.last()
    }
}

impl QueueMetrics {
    fn of(queue: &QueueStats, elapsed_s: f64) -> Self {
        Self {
            name: queue.name.to_owned(),
            capacity: queue.capacity,
            occupancy: short(queue.mean_occupancy),
            items_per_s: short(queue.items as f64 / elapsed_s),
            put_wait: short(queue.put_wait_ms / 1e3 / elapsed_s),
            get_wait: short(queue.get_wait_ms / 1e3 / elapsed_s),
        }
    }

    /// The share of the queue that is full on average, 0 to 1.
    pub fn fill(&self) -> f64 {
        (self.occupancy / self.capacity.max(1) as f64).min(1.0)
    }
}

/// Four decimals, so that a log line stays short.
fn short(value: f64) -> f64 {
    (1e4 * value).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_a_second_and_work_a_share_of_the_workers() {
        let queue = QueueStats {
            name: "batches",
            capacity: 4,
            items: 10,
            holds: 1,
            mean_occupancy: 3.0,
            put_wait_ms: 1000.0,
            get_wait_ms: 500.0,
        };
        let interval = PipelineStats {
            elapsed_s: 5.0,
            workers: 2,
            samples: 640,
            read_ms: 100.0,
            decode_ms: 5000.0,
            augment_ms: 1000.0,
            queues: vec![queue],
            stall: None,
        };
        let found = PipelineMetrics::of(&interval);
        assert_eq!(found.bottleneck, Bottleneck::Decode);
        assert_eq!((found.images_per_s, found.busy.decode, found.busy.read), (128.0, 0.5, 0.01));
        let batches = found.batches().unwrap();
        assert_eq!((batches.fill(), batches.items_per_s), (0.75, 2.0));
        assert_eq!((batches.put_wait, batches.get_wait), (0.2, 0.1));
    }
}
