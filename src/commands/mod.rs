//! One file for each subcommand.

mod demo_shards;
pub mod inspect;
pub mod pack;
pub mod train;
