//! One file for each subcommand.

pub mod inspect;
pub mod pack;
pub mod train;
