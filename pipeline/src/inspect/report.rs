//! The result of [`inspect`](super::inspect).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::shards::{Finding, FindingKind, Location};

/// The contents of a set of shards. Displays as a table.
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
    /// Samples per image format.
    pub formats: BTreeMap<String, u64>,
    /// Widths of the images, in pixels.
    pub width: Option<Spread>,
    /// Heights of the images, in pixels.
    pub height: Option<Spread>,
    /// Histogram of the shorter side: images by its upper bound in pixels, a power of two.
    pub shorter_side: BTreeMap<u32, u64>,
    /// Samples without a label.
    pub unlabelled: u64,
    /// Samples per label.
    pub labels: BTreeMap<u32, u64>,
    /// Names of the labels, if known.
    pub class_names: Option<Vec<String>>,
    /// Whether every sample was decoded.
    pub verified: bool,
    /// Unusable samples, in order.
    pub bad: Vec<UnusableSample>,
    /// Findings of indexing: unused images and labels, and archives with an unusual end.
    pub found: Vec<Found>,
    /// Further warnings ([`ShardSet::notes`](crate::ShardSet::notes)).
    pub notes: Vec<String>,
    /// Errors of shards that could not be opened ([`ShardSet::open_usable`](crate::ShardSet::open_usable)); filled in
    /// by the caller that opened them.
    pub broken_shards: Vec<String>,
}

/// Minimum, median and maximum of a set of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The minimum.
    pub min: u32,
    /// The lower median.
    pub median: u32,
    /// The maximum.
    pub max: u32,
}

/// All findings of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The kind.
    pub kind: FindingKind,
    /// The kind in words, to follow a count of images, labels or shards.
    pub description: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
    /// The number of findings.
    pub count: u64,
    /// The first 10,000 findings of each shard.
    pub list: Vec<Finding<'static>>,
}

/// An unusable sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusableSample {
    /// Its number in the set.
    pub sample: u64,
    /// Its location.
    pub at: Location<'static>,
    /// What is wrong with it.
    pub cause: String,
}
