//! Trains SimSiam, self-supervised, straight from JPEG shards.

pub mod demo;
pub mod knn;
