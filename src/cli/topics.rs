//! The headings that the help groups flags by.

/// Which images, and how they are read.
pub(crate) const DATA: &str = "Data";
/// What is done to them.
pub(crate) const AUGMENTATION: &str = "Augmentation";
/// The network, and where it runs.
pub(crate) const NETWORK: &str = "Network and device";
/// What it learns by.
pub(crate) const METHOD: &str = "Method";
/// How its parameters move, and for how long.
pub(crate) const OPTIMIZATION: &str = "Optimization";
/// What is measured of it, and what follows.
pub(crate) const EVALUATION: &str = "Evaluation and stopping";
/// Where the settings come from, and what a run leaves.
pub(crate) const RUN: &str = "Settings and run folder";
/// SimSiam's ablations.
pub(crate) const ABLATIONS: &str = "Ablations of SimSiam (Chen & He 2021, sections 4 and 5)";
/// Where the help of `inspect` lists what is about near-duplicates.
pub(crate) const DUPLICATES: &str = "Near-duplicates";
/// The kNN classifier of `eval`.
pub(crate) const KNN: &str = "kNN";
/// The linear probe of `eval`.
pub(crate) const PROBE: &str = "Linear probe";
