//! What `simsiam inspect` says of images beyond the pipeline's counts.
//!
//! - [`statistics`]: mean and standard deviation of the pixels.
//! - [`duplicates`]: images that are nearly the same, and leaks between training and validation.

pub mod duplicates;
pub mod statistics;
