//! Shards, from patterns to samples, packing and inspection.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod damage;
mod disk;
mod findings;
mod fixture;
mod foreign;
mod hostile;
mod index;
mod inspect;
mod labels;
mod pack;
mod real_data;
mod samples;
mod sources;
