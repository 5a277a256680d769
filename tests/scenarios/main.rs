//! Scenarios of the whole program, run as a user runs it.

mod bad_input;
mod fixture;
mod interruption;
mod shards;
mod training;
