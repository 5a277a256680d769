//! What `simsiam inspect` says of images beyond the pipeline's counts.
//!
//! - [`recipe`]: the steps of a recipe, and how long each takes.
//! - [`statistics`]: mean and standard deviation of the pixels.
//! - [`duplicates`]: images that are nearly the same, and leaks between training and validation.

pub mod duplicates;
pub mod recipe;
pub mod statistics;
