//! One file for each subcommand.

pub mod bench;
mod demo_shards;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod inspect;
pub mod pack;
pub mod study;
pub mod train;
