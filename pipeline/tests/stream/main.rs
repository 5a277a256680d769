//! Scenarios of a whole pipeline: shards in, batches out.

mod bad_samples;
mod determinism;
mod evaluation;
mod fixture;
mod flow;
