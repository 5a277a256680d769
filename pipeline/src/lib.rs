//! Streams pairs of augmented views from memory-mapped WebDataset shards.

pub mod augment;
pub mod decode;
pub mod inspect;
pub mod pack;
pub mod rng;
pub mod shards;
