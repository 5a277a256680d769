//! The wiring: one function shows every stage, queue, capacity and thread of a running pipeline, from source to sink.

use std::ops::Range;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::augment::{CustomSteps, Format, Recipe, ViewGroup};
use crate::batch::{BufferPool, BufferShape};
use crate::batches::{Batches, Shutdown};
use crate::error::ConfigError;
use crate::memory;
use crate::operation::ViewOperation;
use crate::quarantine::Quarantine;
use crate::queue::bounded;
use crate::sampler::{LastBatch, Mixture, Order, Part, Population, SampleSet, Sampler, World};
use crate::shards::ShardSet;
use crate::stages::foresight::Foresight;
use crate::stages::read::SpareBuffers;
use crate::stages::work::{WorkClock, Worker};
use crate::stages::{caught, collate, plan, read, work};
use crate::stats::Meters;
use crate::watchdog::{self, Watchdog};

/// The configuration of a pipeline: everything that determines its batches and its speed.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// The augmentation of each view.
    pub recipe: Recipe,
    /// The steps of your own that it names.
    pub steps: CustomSteps,
    /// Views of each image: 2 for training, or as many as the recipe lists; 1 for evaluation.
    pub views: usize,
    /// Element type and layout of the views.
    pub format: Format,
    /// An operation on each finished view.
    pub operation: Option<Arc<dyn ViewOperation>>,
    /// The samples to draw from; `None` for all.
    pub chosen: Option<SampleSet>,
    /// The proportions in which a shuffled epoch draws from sets of shards; `None` to draw each sample once.
    pub mixture: Option<Mixture>,
    /// Which of the chosen samples to stream.
    pub part: Part,
    /// Images per batch, over all ranks.
    pub batch_size: usize,
    /// The only source of randomness.
    pub seed: u64,
    /// Shuffled for training, as a whole or in windows of shards; sequential for evaluation.
    pub order: Order,
    /// What happens to the last samples of an epoch that do not fill a batch.
    pub last_batch: LastBatch,
    /// This process's place among the ranks.
    pub world: World,
    /// Batches per group, for example those whose gradients are averaged. An epoch ends with its last whole group. 0
    /// means 1.
    pub group: u64,
    /// The epochs to stream.
    pub epochs: Range<u64>,
    /// The first batch of the first epoch, where a resumed run continues.
    pub first_step: u64,
    /// Threads that decode and augment, 1 to 1024. They affect the speed, never the bytes.
    pub workers: usize,
    /// Finished batches that may wait for the consumer, at least 1 (0 means 1). At most two more are in progress;
    /// [`pool_bytes`](Self::pool_bytes) gives the memory.
    pub prefetch: usize,
    /// After this time without progress, a warning and the statistics name the stage that stalls.
    pub stall_after: Duration,
}

impl PipelineConfig {
    /// The largest number of workers.
    pub const MAX_WORKERS: usize = 1024;

    /// A configuration for training: the recipe's views, two if it lists none, for an unlimited number of epochs.
    pub fn training(recipe: Recipe, batch_size: usize, seed: u64) -> Self {
        Self {
            views: recipe.views_of_an_image().unwrap_or(2),
            recipe,
            steps: CustomSteps::default(),
            format: Format::default(),
            operation: None,
            chosen: None,
            mixture: None,
            part: Part::All,
            batch_size,
            seed,
            order: Order::Shuffled,
            last_batch: LastBatch::Dropped,
            world: World::SINGLE,
            group: 1,
            epochs: 0..u64::MAX,
            first_step: 0,
            workers: 1,
            prefetch: 4,
            stall_after: Duration::from_secs(60),
        }
    }

    /// A configuration for evaluation: one view of every sample without augmentation, once, in order.
    pub fn evaluation(recipe: &Recipe, batch_size: usize) -> Self {
        Self {
            views: 1,
            order: Order::Sequential,
            last_batch: LastBatch::Kept,
            epochs: 0..1,
            ..Self::training(recipe.evaluation(), batch_size, 0)
        }
    }

    /// Checks everything that can be checked without data.
    ///
    /// # Errors
    /// If the recipe is invalid, names other steps of your own than there are, or lists another number of views; if there
    /// are no workers or views; or if there are more than 1024 workers.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.recipe.validate()?;
        self.steps.check(&self.recipe)?;
        if self.workers == 0 {
            return Err(ConfigError::NoWorkers);
        }
        if self.workers > Self::MAX_WORKERS {
            return Err(ConfigError::TooManyWorkers { workers: self.workers });
        }
        if self.views == 0 {
            return Err(ConfigError::NoViews);
        }
        match self.recipe.views_of_an_image() {
            Some(listed) if listed != self.views => {
                return Err(ConfigError::OtherViews { listed, views: self.views });
            }
            _ => {}
        }
        Ok(())
    }

    /// Memory of the pipeline's batches, at most, in bytes: those that wait, the two in progress, and the one that the
    /// consumer holds. Each further batch that the consumer keeps adds to it.
    pub fn pool_bytes(&self) -> u64 {
        let share = self.batch_size as u64 / self.world.size.max(1);
        let pixel = 3 * self.format.dtype.bytes() as u64;
        let view = |size: usize| pixel.saturating_mul((size as u64).saturating_pow(2));
        let groups = self.groups().into_iter();
        let image = groups.map(|group| view(group.size).saturating_mul(group.count as u64));
        let batch = image.fold(0, u64::saturating_add).saturating_mul(share);
        batch.saturating_mul((self.prefetch.max(1) as u64).saturating_add(IN_HAND + 1))
    }

    /// The groups of an image's views, in order.
    pub fn groups(&self) -> Vec<ViewGroup> {
        self.recipe.groups(self.views)
    }

    /// Checks that the batches fit into memory, as [`start`] does.
    ///
    /// # Errors
    /// If they take more than the memory available without swapping.
    pub fn check_memory(&self) -> Result<(), ConfigError> {
        memory::check(self.pool_bytes(), memory::available())
    }

    /// The samples that this configuration draws from `shards`.
    pub fn population(&self, shards: &ShardSet) -> Population {
        Population::of_shards(shards.first_samples()).choose(self.chosen.clone()).mix(self.mixture.clone())
    }

    /// The sampler of this configuration for `shards`.
    ///
    /// # Errors
    /// If batch, ranks, choice, mixture and data do not fit together.
    pub fn sampler(&self, shards: &ShardSet) -> Result<Sampler, ConfigError> {
        let Self { part, batch_size, seed, order, last_batch, world, group, .. } = *self;
        let population = self.population(shards);
        Sampler::new(&population, part, batch_size, seed, order, last_batch, world)?.in_groups_of(group)
    }
}

/// Batches under way besides those that wait in the queue: they keep the workers busy.
const IN_HAND: u64 = 2;

/// Starts a pipeline over `shards`. Bad samples go to `quarantine`, which may be shared and outlives it.
///
/// # Errors
/// If the configuration is invalid or a thread cannot be started. Nothing is left running then.
pub fn start(
    shards: Arc<ShardSet>,
    quarantine: Arc<Quarantine>,
    config: &PipelineConfig,
) -> Result<Batches, ConfigError> {
    config.validate()?;
    let sampler = config.sampler(&shards)?;
    let (workers, prefetch) = (config.workers, config.prefetch.max(1));
    let share = config.batch_size / config.world.size as usize;
    let chunk_len = chunk_len(&shards, share, workers);
    config.check_memory()?;
    shards.check_room(config.order)?;
    let shape = BufferShape::new(share, &config.groups(), config.format);

    // A batch holds a permit from its plan to its delivery.
    let in_flight = prefetch + IN_HAND as usize;
    let permits = Arc::new(Semaphore::new(in_flight));
    let pool = Arc::new(BufferPool::new(in_flight + 1, shape));

    // plan -> read -> work -> collate -> the consumer. What a worker has finished always finds room.
    let (planned_tx, planned_rx) = bounded("planned chunks", 2 * workers);
    let (ready_tx, ready_rx) = bounded("ready chunks", 4 * workers);
    let (finished_tx, finished_rx) = bounded("finished chunks", in_flight * share.div_ceil(chunk_len));
    let (batches_tx, batches_rx) = bounded("batches", prefetch);
    let (open_tx, open_rx) = bounded("open batches", prefetch); // plan -> collate, in order

    let clock = Arc::new(WorkClock::new(workers));
    let queues = [planned_rx.meter(), ready_rx.meter(), finished_rx.meter(), batches_rx.meter()];
    let stall = Arc::new(Mutex::new(None));
    let (alive, watched) = mpsc::sync_channel(0); // alive as long as there is anything to collate
    let patience = config.stall_after;
    let watchdog = Watchdog {
        patience,
        shards: shards.clone(),
        clock: clock.clone(),
        queues: queues.clone(),
        stall: stall.clone(),
    };
    let meters =
        Meters { started: Instant::now(), workers, clock: clock.clone(), queues: queues.into(), stall };
    let (buffers, stop) = (Arc::new(SpareBuffers::default()), Arc::new(Semaphore::new(0)));
    let mut shutdown = Shutdown {
        stop: stop.clone(),
        permits: permits.clone(),
        chunks: [planned_rx.closer(), ready_rx.closer()],
        finished: finished_rx.closer(),
        threads: Vec::with_capacity(workers + 2),
    };

    for index in 0..workers {
        let worker =
            Worker::new(index, shards.clone(), quarantine.clone(), clock.clone(), buffers.clone(), config);
        let (ready, finished) = (ready_rx.clone(), finished_tx.clone());
        shutdown
            .threads
            .push(spawn(format!("ss-worker-{index}"), move || work::run(worker, ready, finished))?);
    }
    drop((ready_rx, finished_tx)); // the workers hold the only ends
    let plan = plan::Plan {
        sampler: sampler.clone(),
        epochs: config.epochs.clone(),
        first_step: config.first_step,
        chunk_len,
        pool: pool.clone(),
        permits: permits.clone(),
    };
    shutdown.threads.push(spawn("ss-watchdog".into(), move || watchdog::run(watchdog, watched))?);
    let foresight = shards.is_remote().then(|| Foresight::new(sampler.clone(), config.epochs.end));
    let read = read::Read { shards, buffers, stop, foresight };
    let (collate_permits, may_be_empty) = (permits.clone(), config.order == Order::Sequential);
    shutdown.threads.push(spawn("ss-stages".into(), move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(read::MOST_FETCHING)
            .thread_name("ss-fetch")
            .build()
            .expect("a runtime without drivers needs nothing from the system");
        let last = batches_tx.clone();
        caught(&last, || {
            runtime.block_on(async {
                tokio::join!(
                    plan::run(plan, open_tx, planned_tx),
                    read::run(read, planned_rx, ready_tx),
                    async {
                        collate::run(open_rx, finished_rx, batches_tx, pool, collate_permits, may_be_empty)
                            .await;
                        drop(alive);
                    },
                )
            });
        });
        drop(last);
        // A file system that no longer answers does not keep the pipeline from ending.
        runtime.shutdown_timeout(Duration::from_secs(1));
    })?);
    Ok(Batches::new(
        batches_rx.into_delivery(),
        sampler,
        (config.epochs.start, config.first_step),
        meters,
        shutdown,
    ))
}

/// Samples a message between threads: about a megabyte of encoded images, so that small ones share the cost of a message,
/// but few enough that a batch keeps every worker busy.
fn chunk_len(shards: &ShardSet, batch_len: usize, workers: usize) -> usize {
    const CHUNK_BYTES: u64 = 1 << 20;
    const MAX_CHUNK: usize = 16;
    const CHUNKS_A_WORKER: usize = 4;
    let bytes: u64 = shards.shards().map(|shard| shard.bytes()).sum();
    let mean_bytes = (bytes / shards.len().max(1)).max(1);
    let by_workers = batch_len / (CHUNKS_A_WORKER * workers);
    by_workers.min((CHUNK_BYTES / mean_bytes) as usize).clamp(1, MAX_CHUNK)
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ConfigError> {
    Builder::new().name(name).spawn(run).map_err(ConfigError::Thread)
}
