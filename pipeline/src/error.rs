//! Errors of a pipeline: invalid configurations, and reasons why a running one stopped.

use crate::quarantine::BadSample;

/// `1 sample` or `2 samples`.
fn counted(samples: &u64) -> String {
    format!("{samples} sample{}", if *samples == 1 { "" } else { "s" })
}

/// An invalid configuration, found before anything starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The batch size is zero.
    #[error("the batch size is 0")]
    EmptyBatch,
    /// The data does not fill one batch, and smaller batches are dropped.
    #[error("the batch size {batch_size} is larger than the data ({})", counted(.samples))]
    BatchLargerThanData {
        /// The global batch.
        batch_size: usize,
        /// Samples in the shards.
        samples: u64,
    },
    /// An epoch would have no batch, because batches outside whole groups are left out.
    #[error("an epoch has {batches} batches, fewer than a group of {group}")]
    GroupLargerThanEpoch {
        /// Batches per group.
        group: u64,
        /// Batches per epoch.
        batches: u64,
    },
    /// The part of the data that is to be streamed is empty.
    #[error("the part of the data to stream holds none of its {samples} samples")]
    EmptyPart {
        /// Samples in the shards.
        samples: u64,
    },
    /// The choice was made for other data.
    #[error("the samples were chosen from {of}, but the data has {samples}")]
    ChosenOfOthers {
        /// Samples in the data of the choice.
        of: u64,
        /// Samples in the shards.
        samples: u64,
    },
    /// A window of no shards has no samples.
    #[error("a window of 0 shards has no sample to shuffle; it takes at least 1")]
    EmptyWindow,
    /// The sets of the data cannot be mixed.
    #[error(transparent)]
    Mixture(#[from] crate::sampler::MixtureError),
    /// Shards that are needed at the same time do not fit into the cache folder.
    #[error(
        "{shards} remote shards are needed at a time and take {} MiB, and the cache has room for {} MiB: enlarge it (--cache-size), or \
         shuffle fewer shards at a time (--shuffle window=N)",
        .needed.div_ceil(1 << 20), .limit >> 20
    )]
    CacheTooSmall {
        /// How many.
        shards: usize,
        /// Their size, in bytes.
        needed: u64,
        /// The cache's, in bytes.
        limit: u64,
    },
    /// The number of ranks is 0.
    #[error("the number of ranks is 0")]
    NoRanks,
    /// This process's rank is out of range.
    #[error("rank {rank} is not one of the {size} ranks, which are numbered from 0")]
    NoSuchRank {
        /// Number of processes.
        size: u64,
        /// This process.
        rank: u64,
    },
    /// The number of ranks does not divide the batch.
    #[error("{size} ranks cannot take equal shares of a batch of {batch_size}")]
    UnequalShares {
        /// The global batch.
        batch_size: usize,
        /// Number of processes.
        size: u64,
    },
    /// Some ranks would never get an image.
    #[error("the data ({}) is too little to train with {size} ranks", counted(.samples))]
    MoreRanksThanSamples {
        /// Samples in the part of the data that is streamed.
        samples: u64,
        /// Number of processes.
        size: u64,
    },
    /// There are no workers.
    #[error("at least one worker is needed")]
    NoWorkers,
    /// There are too many workers.
    #[error("{workers} workers are too many; at most {max} may be started", max = crate::PipelineConfig::MAX_WORKERS)]
    TooManyWorkers {
        /// The requested number.
        workers: usize,
    },
    /// The number of views is 0.
    #[error("the pipeline needs at least one view of each image")]
    NoViews,
    /// The recipe lists another number of views than requested.
    #[error("the recipe's `views` are {listed}, but {views} are to be made of each image")]
    OtherViews {
        /// Views that the recipe lists.
        listed: usize,
        /// Requested views.
        views: usize,
    },
    /// The recipe contradicts itself.
    #[error(transparent)]
    Recipe(#[from] crate::augment::RecipeError),
    /// Steps of your own are missing, or none of the recipe's.
    #[error(transparent)]
    Steps(#[from] crate::augment::CustomStepsError),
    /// The batches would not fit into the machine's memory.
    #[error(
        "the pipeline's batches need {} MiB, of {} MiB of memory that are free; a smaller batch or fewer batches ahead need less",
        needed >> 20,
        available >> 20
    )]
    Memory {
        /// Memory of the pipeline's batches, at most, in bytes.
        needed: u64,
        /// Available memory, in bytes.
        available: u64,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why a running pipeline stopped. It arrives once, as the last item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A sample was unusable, and the policy is `fail`.
    #[error("{0}")]
    BadSample(Box<BadSample>),
    /// More samples were unusable than the policy allows.
    #[error(
        "{bad} of {samples} samples are unusable, more than the budget of {budget}; the last one: {last}"
    )]
    BudgetExceeded {
        /// Distinct unusable samples so far.
        bad: u64,
        /// Samples in the shards.
        samples: u64,
        /// The allowed number.
        budget: u64,
        /// The sample that exceeded the budget.
        last: Box<BadSample>,
    },
    /// None of this process's images in a whole epoch was usable, so no batch would ever arrive.
    #[error("none of the images of epoch {epoch} could be used")]
    NoUsableImage {
        /// The epoch, from 0.
        epoch: u64,
    },
    /// A remote shard could not be fetched after all attempts. The data is intact, and the run can resume from its last
    /// checkpoint.
    #[error("{0}")]
    Unreachable(String),
    /// A step of your own failed.
    #[error("{place}: {error}")]
    Step {
        /// Shard, sample and key of the image.
        place: String,
        /// Which step, and what it said.
        #[source]
        error: Box<crate::augment::CustomStepError>,
    },
    /// A worker thread panicked: a bug in this program. Names the sample that triggered it.
    #[error("a worker panicked at {place}: {message}")]
    WorkerPanicked {
        /// Shard, sample and key.
        place: String,
        /// The panic message.
        message: String,
    },
    /// The thread that plans, reads and collates panicked: a bug in this program.
    #[error("the pipeline panicked: {message}")]
    StagePanicked {
        /// The panic message.
        message: String,
    },
}
