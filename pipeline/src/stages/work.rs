//! A worker: decodes and augments back to back, while the pixels are in cache, straight into the batch's slots.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::{Chunk, FinishedChunk};
use crate::augment::{CustomStepError, PixelsMut};
use crate::batch::SlotWriter;
use crate::error::PipelineError;
use crate::operation::{self, FinishedView};
use crate::pipeline::PipelineConfig;
use crate::quarantine::{BadSample, Quarantine};
use crate::queue::{Receiver, Sender};
use crate::sampler::Order;
use crate::shards::{ReadCause, ShardSet};
use crate::stats::observed;
use crate::views::ViewMaker;

use super::read::{Fetched, SpareBuffers};

/// Stand-ins tried for a bad sample before its slot is left out.
const MAX_SUBSTITUTES: u32 = 100;

/// What a worker thread owns.
pub(crate) struct Worker {
    /// Its place in the clock's list of activities.
    index: usize,
    shards: Arc<ShardSet>,
    quarantine: Arc<Quarantine>,
    clock: Arc<WorkClock>,
    config: PipelineConfig,
    maker: ViewMaker,
    /// For what the read stage has read.
    buffers: Arc<SpareBuffers>,
    /// For what this worker has to copy.
    spare: Vec<u8>,
}

/// Time spent in each step of the work, over all workers, and what each has in hand.
pub(crate) struct WorkClock {
    pub(crate) activities: Vec<Activity>,
    pub(crate) samples: AtomicU64,
    pub(crate) read_ns: AtomicU64,
    pub(crate) decode_ns: AtomicU64,
    pub(crate) augment_ns: AtomicU64,
}

/// What a worker has in hand: named if it panics or stalls.
#[derive(Default)]
pub(crate) struct Activity {
    step: AtomicU8,
    sample: AtomicU64,
    /// Steps begun so far.
    turns: AtomicU64,
}

/// Why a slot is not filled.
enum Failure {
    /// Something is wrong with the sample; the cause is for the quarantine.
    Sample(String),
    /// Its shard cannot be fetched.
    Unreachable(String),
    /// A step of the consumer's own failed.
    Step(CustomStepError),
}

impl From<ReadCause> for Failure {
    fn from(cause: ReadCause) -> Failure {
        match cause {
            ReadCause::Unreachable(cause) => Failure::Unreachable(cause),
            cause => Failure::Sample(cause.to_string()),
        }
    }
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    /// Waits for a chunk, or for room to report one.
    Idle,
    Read,
    Decode,
    Augment,
}

/// A worker's loop: until the chunks end or the pipeline stops.
pub(crate) fn run(mut worker: Worker, chunks: Receiver<Chunk>, finished: Sender<FinishedChunk>) {
    while let Ok(chunk) = chunks.recv_blocking() {
        let batch = chunk.batch;
        // A panic unwinds through code that leaves only this worker's scratch half-written, and this worker ends.
        let outcome = catch_unwind(AssertUnwindSafe(|| worker.fill(chunk)))
            .unwrap_or_else(|panic| Err(worker.panicked(panic.as_ref())));
        let failed = outcome.is_err();
        worker.activity().begin(Step::Idle);
        if finished.send_blocking(FinishedChunk { batch, outcome }).is_err() || failed {
            return;
        }
    }
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        shards: Arc<ShardSet>,
        quarantine: Arc<Quarantine>,
        clock: Arc<WorkClock>,
        buffers: Arc<SpareBuffers>,
        config: &PipelineConfig,
    ) -> Self {
        Self {
            buffers,
            spare: Vec::new(),
            index,
            shards,
            quarantine,
            clock,
            config: config.clone(),
            maker: ViewMaker::new(config.recipe.clone(), config.views, config.seed)
                .with_steps(config.steps.clone()),
        }
    }

    fn activity(&self) -> &Activity {
        &self.clock.activities[self.index]
    }

    /// Fills every slot of the chunk, and gives their writer back.
    fn fill(&mut self, mut chunk: Chunk) -> Result<SlotWriter, PipelineError> {
        let mut fetched = mem::take(&mut chunk.fetched).into_iter();
        for (slot, position) in chunk.positions() {
            let mut fetched = fetched.next().flatten();
            let mut sample = chunk.order.sample(position);
            let mut attempt = 0;
            while let Err(failure) =
                self.fill_slot(&mut chunk.slots, slot, chunk.epoch, sample, fetched.take())
            {
                match failure {
                    Failure::Sample(cause) => self.quarantine.add(self.bad(sample, cause))?,
                    Failure::Unreachable(cause) => return Err(PipelineError::Unreachable(cause)),
                    Failure::Step(error) => {
                        let place = self.shards.locate(sample).to_string();
                        return Err(PipelineError::Step { place, error: Box::new(error) });
                    }
                }
                if self.config.order == Order::Sequential || attempt == MAX_SUBSTITUTES {
                    break;
                }
                sample = chunk.order.substitute(position, attempt);
                attempt += 1;
            }
        }
        Ok(chunk.slots)
    }

    /// Reads, decodes and augments one sample.
    fn fill_slot(
        &mut self,
        slots: &mut SlotWriter,
        slot: usize,
        epoch: u64,
        sample: u64,
        fetched: Fetched,
    ) -> Result<(), Failure> {
        let activity = &self.clock.activities[self.index];
        activity.take(sample);
        let started = Instant::now();
        let is_fetched = fetched.is_some();
        let encoded = match fetched {
            Some(bytes) => bytes.and_then(|bytes| self.shards.with_bytes(sample, bytes)),
            None => self.shards.read_into(sample, mem::take(&mut self.spare)),
        };
        let encoded = encoded.map_err(|error| Failure::from(error.cause))?;
        activity.begin(Step::Decode);
        let read = Instant::now();
        let views = self.maker.decode(&encoded.bytes, epoch, sample);
        let mut views = views.map_err(|error| Failure::Sample(error.to_string()))?;
        encoded.check_intact().map_err(|error| Failure::from(error.cause))?;
        activity.begin(Step::Augment);
        let decoded = Instant::now();
        for view in 0..self.config.views {
            let (layout, size) = (self.config.format.layout, slots.size(view));
            let mut pixels = slots.view_mut(slot, view);
            let rendered = match &mut pixels {
                PixelsMut::U8(out) => views.render(view, layout, out),
                PixelsMut::F16(out) => views.render(view, layout, out),
                PixelsMut::F32(out) => views.render(view, layout, out),
            };
            rendered.map_err(Failure::Step)?;
            if let Some(operation) = &self.config.operation {
                let label = encoded.label;
                let rng = operation::stream(self.config.seed, epoch, sample, view);
                operation.apply(&mut FinishedView { pixels, layout, size, sample, label, view, rng });
            }
        }
        slots.fill(slot, sample, encoded.label);
        let buffer = encoded.into_buffer();
        if is_fetched {
            self.buffers.give_back(buffer);
        } else {
            self.spare = buffer;
        }
        self.clock.add(started, read, decoded);
        Ok(())
    }

    fn bad(&self, sample: u64, cause: String) -> BadSample {
        let location = self.shards.locate(sample);
        BadSample { sample, place: location.to_string(), offset: location.offset, cause }
    }

    fn panicked(&self, panic: &(dyn std::any::Any + Send)) -> PipelineError {
        let message = super::panic_message(panic);
        let (_, sample) = self.activity().now();
        PipelineError::WorkerPanicked { place: self.shards.locate(sample).to_string(), message }
    }
}

impl Activity {
    fn take(&self, sample: u64) {
        self.sample.store(sample, Relaxed);
        self.begin(Step::Read);
    }

    fn begin(&self, step: Step) {
        self.step.store(step as u8, Relaxed);
        self.turns.fetch_add(1, Relaxed);
    }

    /// The step under way and its sample.
    pub(crate) fn now(&self) -> (Step, u64) {
        let steps = [Step::Idle, Step::Read, Step::Decode, Step::Augment];
        (steps[usize::from(self.step.load(Relaxed))], self.sample.load(Relaxed))
    }

    /// Changes with every step.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Relaxed)
    }
}

impl WorkClock {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            activities: (0..workers).map(|_| Activity::default()).collect(),
            samples: AtomicU64::new(0),
            read_ns: AtomicU64::new(0),
            decode_ns: AtomicU64::new(0),
            augment_ns: AtomicU64::new(0),
        }
    }

    fn add(&self, started: Instant, read: Instant, decoded: Instant) {
        self.samples.fetch_add(1, Relaxed);
        let steps = [
            ("read", &self.read_ns, started, read),
            ("decode", &self.decode_ns, read, decoded),
            ("augment", &self.augment_ns, decoded, Instant::now()),
        ];
        for (name, total, began, ended) in steps {
            total.fetch_add((ended - began).as_nanos() as u64, Relaxed);
            observed(name, began, ended);
        }
    }
}
