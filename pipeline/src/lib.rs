//! Streams augmented views of images from WebDataset tars, zips, Parquet files, folders and buckets.
//!
//! ```text
//! sampler -> read -> decode -> augment (two views, or the recipe's) -> collate -> your model
//! ```
//!
//! The code map, in reading order:
//!
//! - [`Loader`]: the interface for other programs; [`pipeline`]: the wiring, where reading starts.
//! - [`ViewOperation`]: a step of your own.
//! - [`choose`]: selects samples; [`sampler`]: which of them make up a batch, as a pure function.
//! - [`shards`]: sources of images and their indexes.
//! - [`views`]: a worker's work on a sample; [`decode`], [`augment`], [`rng`]: bytes to pixels and pixels to views, as in
//!   Pillow and torchvision; [`image`](mod@image): the pixels between them.
//! - [`Instructions`]: SIMD or scalar code, with the same bytes.
//! - `stages`: the loops between the queues; `batch`: buffers; `queue`: bounded channels that measure their waits.
//! - [`batches`], [`stats`], [`quarantine`]: the consumer's side; `watchdog`: names a stage that stalls.
//! - [`pack`], [`unpack`], [`inspect`]: write shards, extract them and inspect them.
//!
//! The first memory map installs a SIGBUS handler in the process; [`shards`](shards#memory-maps-and-sigbus) describes it and
//! how to do without it.
//!
//! The bytes of every batch depend only on (shards, recipe, seed, epoch, step): they are the same for any number of workers
//! or ranks, and after a resume.

pub mod augment;
mod batch;
pub mod batches;
#[cfg(feature = "remote")]
mod cache;
pub mod choose;
pub mod decode;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod image;
mod in_shares;
pub mod inspect;
mod instructions;
pub mod loader;
mod memory;
mod operation;
pub mod pack;
pub mod pipeline;
pub mod quarantine;
mod queue;
#[cfg(feature = "remote")]
mod remote;
pub mod rng;
pub mod sampler;
pub mod shards;
mod sources;
mod stages;
pub mod stats;
pub mod unpack;
pub mod views;
mod watchdog;

pub use augment::{Dtype, Format, Layout, Recipe};
pub use batch::Batch;
pub use batches::Batches;
pub use choose::Choice;
pub use error::{ConfigError, PipelineError};
pub use half::f16;
pub use instructions::Instructions;
pub use loader::{Loader, LoaderState};
pub use memory::available as available_memory;
pub use operation::{FinishedView, ViewOperation};
pub use pipeline::{PipelineConfig, start};
pub use quarantine::{BadSample, OnBadSample, Quarantine};
pub use sampler::{LastBatch, Mixture, Order, Part, SampleSet, World};
pub use shards::ShardSet;

/// Compiles the Rust code of the READMEs.
#[cfg(doctest)]
mod readme {
    #[doc = include_str!("../README.md")]
    struct OfTheCrate;
    #[doc = include_str!("../../README.md")]
    struct OfTheRepository;
    #[doc = include_str!("../../docs/embedding.md")]
    struct Embedding;
}
