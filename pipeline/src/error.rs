//! What can go wrong in a pipeline, and how a caller is told.

use crate::quarantine::BadSample;

/// A configuration that cannot work, found before anything starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The batch size is zero.
    #[error("the batch size is 0")]
    EmptyBatch,
    /// The epoch's only batch would be a smaller one, and those are dropped.
    #[error("the batch size {batch_size} is larger than the data ({samples} samples)")]
    BatchLargerThanData {
        /// The global batch.
        batch_size: usize,
        /// Samples in the shards.
        samples: u64,
    },
    /// An epoch would have no batch, since those beside whole groups are left out.
    #[error("an epoch has {batches} batches, fewer than a group of {group}")]
    GroupLargerThanEpoch {
        /// Batches of a group.
        group: u64,
        /// Batches of an epoch.
        batches: u64,
    },
    /// The part of the data that is to be streamed is empty.
    #[error("the part of the data to stream holds none of its {samples} samples")]
    EmptyPart {
        /// Samples in the shards.
        samples: u64,
    },
    /// The choice was made among the samples of other data.
    #[error("the samples were chosen from {of}, but the data has {samples}")]
    ChosenOfOthers {
        /// Samples in the data of the choice.
        of: u64,
        /// Samples in the shards.
        samples: u64,
    },
    /// Windows of no shard have no sample.
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
    /// There is no process.
    #[error("the number of ranks is 0")]
    NoRanks,
    /// This process is none of the world's.
    #[error("rank {rank} is not one of the {size} ranks, which are numbered from 0")]
    NoSuchRank {
        /// Number of processes.
        size: u64,
        /// This process.
        rank: u64,
    },
    /// Ranks and batch don't fit together.
    #[error("{size} ranks cannot take equal shares of a batch of {batch_size}")]
    UnequalShares {
        /// The global batch.
        batch_size: usize,
        /// Number of processes.
        size: u64,
    },
    /// Some ranks would never get an image.
    #[error("the data ({samples} samples) is too little to train with {size} ranks")]
    MoreRanksThanSamples {
        /// Samples in the part of the data that is streamed.
        samples: u64,
        /// Number of processes.
        size: u64,
    },
    /// There must be a worker to decode.
    #[error("at least one worker is needed")]
    NoWorkers,
    /// More threads than any machine has use for.
    #[error("{workers} workers are too many, at most {max} may be started", max = crate::PipelineConfig::MAX_WORKERS)]
    TooManyWorkers {
        /// The number that was asked for.
        workers: usize,
    },
    /// There is no view to make of an image.
    #[error("the pipeline needs at least one view of each image")]
    NoViews,
    /// The recipe lists the steps of other views than are made.
    #[error("the recipe's `views` are {listed}, but {views} are to be made of each image")]
    OtherViews {
        /// Views that the recipe lists.
        listed: usize,
        /// Views that are asked for.
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
        /// What the batches inside the pipeline take at most, in bytes.
        needed: u64,
        /// What the system can give, in bytes.
        available: u64,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Why a running pipeline stopped. It arrives once, as the last item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The policy is `fail` and a sample was unusable.
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
        /// How many were allowed.
        budget: u64,
        /// The one that was too many.
        last: Box<BadSample>,
    },
    /// A whole epoch had images for this process and none was usable, so that no batch would ever come.
    #[error("none of the images of epoch {epoch} could be used")]
    NoUsableImage {
        /// The epoch, from 0.
        epoch: u64,
    },
    /// A remote shard could not be fetched, after all attempts. Nothing is wrong with the data: the run can go on from its last
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
    /// A worker thread panicked: a bug in this program, with the sample that brought it out.
    #[error("a worker panicked at {place}: {message}")]
    WorkerPanicked {
        /// Shard, sample and key.
        place: String,
        /// What it said.
        message: String,
    },
}
