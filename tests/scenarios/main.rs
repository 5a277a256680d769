//! Scenarios of the whole program, run as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod accessibility;
mod bad_input;
mod bench;
mod browser;
mod command_line;
mod console;
mod device;
#[cfg(unix)]
mod distributed;
mod docs;
mod evaluation;
mod faults;
mod finetune;
mod fixture;
mod inspect;
mod instructions;
mod interruption;
mod methods;
mod multi_crop;
mod online_probe;
mod options;
mod places;
mod preview;
mod provenance;
mod report;
mod serve;
#[cfg(feature = "remote")]
#[path = "../../pipeline/tests/support/server/mod.rs"]
#[expect(dead_code, reason = "other tests play other faults")]
mod server;
mod shards;
mod sources;
mod tensorboard;
mod training;
mod unpack;
mod weights;
