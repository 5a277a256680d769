//! How good the features of an encoder that no longer learns are.
//!
//! - [`subject`]: which network of a run; [`frozen`]: it, as a function; [`features`]: what it makes of shards.
//! - [`cosine`]: how similar features are; [`knn`]: the votes of the nearest neighbours; [`probe`]: a linear classifier;
//!   [`scores`]: what either gets right.
//! - [`monitor`]: kNN while a run trains; [`samples`]: images with their features, to be looked at.
//! - [`report`], [`chart`]: what is left on the disk.

pub mod chart;
mod classes;
pub mod cosine;
pub mod features;
pub mod frozen;
pub mod knn;
pub mod monitor;
pub mod probe;
pub mod report;
pub mod samples;
pub mod scores;
pub mod subject;

pub use classes::class_count;
pub use monitor::knn_accuracy;
