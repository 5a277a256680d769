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
    /// Ranks and batch don't fit together.
    #[error("rank {rank} of {size} cannot take an equal share of a batch of {batch_size}")]
    World {
        /// The global batch.
        batch_size: usize,
        /// Number of processes.
        size: u64,
        /// This process.
        rank: u64,
    },
    /// There must be a worker to decode.
    #[error("at least one worker is needed")]
    NoWorkers,
    /// There is no view to make of an image.
    #[error("the pipeline needs at least one view of each image")]
    NoViews,
    /// The recipe contradicts itself.
    #[error(transparent)]
    Recipe(#[from] crate::augment::RecipeError),
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
    /// A worker thread panicked: a bug in this program, with the sample that brought it out.
    #[error("a worker panicked at {place}: {message}")]
    WorkerPanicked {
        /// Shard, sample and key.
        place: String,
        /// What it said.
        message: String,
    },
}
