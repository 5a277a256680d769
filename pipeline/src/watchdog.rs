//! Names a stage that stalls: a disk that no longer responds, a sample that never finishes.

use std::fmt::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::queue::{Meter, QueueStats};
use crate::shards::ShardSet;
use crate::stages::work::{Step, WorkClock};

/// What a watchdog watches.
pub(crate) struct Watchdog {
    /// Without any progress for this long, it warns, once a stall.
    pub(crate) patience: Duration,
    pub(crate) shards: Arc<ShardSet>,
    pub(crate) clock: Arc<WorkClock>,
    /// Planned, ready and finished chunks, and batches.
    pub(crate) queues: [Arc<Meter>; 4],
    /// Where the latest stall is noted.
    pub(crate) stall: Arc<Mutex<Option<String>>>,
}

/// Watches until the sender behind `alive` is dropped.
pub(crate) fn run(watchdog: Watchdog, alive: Receiver<()>) {
    let mut seen = watchdog.progress();
    let mut told = false;
    let patience = watchdog.patience.max(Duration::from_millis(1));
    while alive.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        let now = watchdog.progress();
        if now != seen {
            (seen, told) = (now, false);
        } else if !told && let Some(stall) = watchdog.stall() {
            tracing::warn!("{stall}");
            *watchdog.stall.lock().unwrap_or_else(PoisonError::into_inner) = Some(stall);
            told = true;
        }
    }
}

impl Watchdog {
    /// Changes whenever anything moves.
    fn progress(&self) -> u64 {
        let steps = self.clock.activities.iter().map(|activity| activity.turns());
        steps.chain(self.queues.iter().map(|meter| meter.stats().items)).fold(0, u64::wrapping_add)
    }

    /// Who does not move, and how full the queues are. `None` if everyone waits for the consumer.
    fn stall(&self) -> Option<String> {
        let queues = self.queues.each_ref().map(|meter| meter.stats());
        let mut text = format!("no progress for {:.0?}: ", self.patience);
        let busy: Vec<String> = (self.clock.activities.iter().enumerate())
            .filter_map(|(worker, activity)| self.busy(worker, activity.now()))
            .collect();
        if busy.is_empty() {
            write!(text, "stage {}", idle_stage(&queues)?).ok()?;
        } else {
            text += &busy.join(", ");
        }
        for queue in &queues {
            write!(text, "; {}: {} of {}", queue.name, queue.holds, queue.capacity).ok()?;
        }
        Some(text)
    }

    fn busy(&self, worker: usize, (step, sample): (Step, u64)) -> Option<String> {
        let stage = match step {
            Step::Idle => return None,
            Step::Read => "read",
            Step::Decode => "decode",
            Step::Augment => "augment",
        };
        Some(format!("stage {stage} in worker {worker} at {}", self.shards.locate(sample)))
    }
}

/// The stage before which work lies while no worker has any.
fn idle_stage([planned, ready, finished, batches]: &[QueueStats; 4]) -> Option<&'static str> {
    match () {
        () if batches.holds > 0 => None,
        () if finished.holds > 0 => Some("collate"),
        () if ready.holds > 0 => Some("work"),
        () if planned.holds > 0 => Some("read-ahead"),
        () => Some("plan"),
    }
}
