//! Streams augmented views of images from memory-mapped WebDataset shards.
//!
//! ```text
//! sampler -> read -> decode -> augment (two views, or the recipe's) -> collate -> your model
//! ```
//!
//! The code map, in reading order:
//!
//! - [`Loader`]: how other programs embed it; [`pipeline`]: the wiring; start there to read.
//! - [`ViewOperation`]: a step of your own.
//! - [`choose`]: which samples to use; [`sampler`]: which of them make up a batch, as a pure function.
//! - [`shards`]: memory-mapped tars and their sidecar indexes.
//! - [`views`]: what a worker does with a sample; [`decode`], [`augment`], [`rng`]: bytes to pixels, pixels to views, as
//!   Pillow and torchvision do it; [`image`](mod@image): the pixels between them.
//! - [`Instructions`]: SIMD or plain code, with the same bytes.
//! - `stages`: the loops between the queues; `batch`: buffers; `queue`: bounded channels that measure their waits.
//! - [`batches`], [`stats`], [`quarantine`]: what a consumer sees; `watchdog`: who holds everything up.
//! - [`pack`], [`unpack`], [`inspect`]: making shards, taking them apart, and looking into them.
//!
//! In a process of yours, the first memory map installs a handler for SIGBUS, which can be
//! [declined](shards#memory-maps-and-sigbus).
//!
//! The bytes of every batch are a function of (shards, recipe, seed, epoch, step) alone: the same for any number of
//! workers or ranks, and after a resume.

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

/// The Rust of the READMEs compiles as it is written.
#[cfg(doctest)]
mod readme {
    #[doc = include_str!("../README.md")]
    struct OfTheCrate;
    #[doc = include_str!("../../README.md")]
    struct OfTheRepository;
    #[doc = include_str!("../../docs/embedding.md")]
    struct Embedding;
}
