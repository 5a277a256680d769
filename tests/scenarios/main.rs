//! Scenarios of the whole program, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod bench;
mod device;
mod evaluation;
mod faults;
mod fixture;
mod instructions;
mod interruption;
mod methods;
mod shards;
mod training;
mod weights;
