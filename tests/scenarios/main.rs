//! Scenarios of the whole program, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod bench;
mod console;
mod device;
mod evaluation;
mod faults;
mod fixture;
mod inspect;
mod instructions;
mod interruption;
mod methods;
mod places;
#[path = "../../pipeline/tests/support/server/mod.rs"]
mod server;
mod shards;
mod sources;
mod training;
mod unpack;
mod weights;
