//! What [`inspect`](super::inspect) found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::shards::{Finding, FindingKind, Location};

/// What a set of shards holds. Displays as a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Shards in the set.
    pub shards: u64,
    /// Samples in the set.
    pub samples: u64,
    /// Size of the archives, in bytes.
    pub shard_bytes: u64,
    /// Size of the images in them, in bytes.
    pub image_bytes: u64,
    /// Samples for each image format.
    pub formats: BTreeMap<String, u64>,
    /// Widths of the images, in pixels.
    pub width: Option<Spread>,
    /// Heights of the images, in pixels.
    pub height: Option<Spread>,
    /// Images by the upper bound of their shorter side, in pixels: powers of two.
    pub shorter_side: BTreeMap<u32, u64>,
    /// Samples without a label.
    pub unlabelled: u64,
    /// Samples for each label.
    pub labels: BTreeMap<u32, u64>,
    /// Names of the labels, where `classes.txt` gives them.
    pub class_names: Option<Vec<String>>,
    /// Whether every sample was decoded.
    pub verified: bool,
    /// Samples that cannot be used, in order.
    pub bad: Vec<UnusableSample>,
    /// What indexing found besides samples: images and labels that are not used, and archives with an odd end.
    pub found: Vec<Found>,
    /// What else is to be said of the shards ([`ShardSet::notes`](crate::ShardSet::notes)).
    pub notes: Vec<String>,
    /// What is wrong with shards that could not be opened ([`ShardSet::open_usable`](crate::ShardSet::open_usable)); whoever
    /// opened them says so.
    pub broken_shards: Vec<String>,
}

/// Least, median and greatest of a set of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The least.
    pub min: u32,
    /// The lower median.
    pub median: u32,
    /// The greatest.
    pub max: u32,
}

/// Everything of one kind that indexing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The kind.
    pub kind: FindingKind,
    /// The kind in words, behind a number of images, labels or shards.
    pub description: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
    /// How many there are.
    pub count: u64,
    /// Which: the first 10,000 of each shard.
    pub list: Vec<Finding<'static>>,
}

/// A sample that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusableSample {
    /// Its number in the set.
    pub sample: u64,
    /// Its place.
    pub at: Location<'static>,
    /// What is wrong with it.
    pub cause: String,
}
