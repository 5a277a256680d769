//! Shards, from patterns to samples, packing and inspection.

mod damage;
mod fixture;
mod index;
mod inspect;
mod pack;
mod real_data;
mod samples;
