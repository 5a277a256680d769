//! Scenarios of a whole pipeline: shards in, batches out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_samples;
mod determinism;
mod evaluation;
mod fixture;
mod flow;
mod hostile;
mod loader;
mod population;
