//! One file for each subcommand.

pub mod bench;
mod demo_shards;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod export;
pub mod finetune;
pub mod import;
pub mod inspect;
pub mod manual;
pub mod pack;
pub mod preview;
pub mod report;
pub mod runs;
pub mod serve;
pub mod study;
pub mod train;
pub mod unpack;
