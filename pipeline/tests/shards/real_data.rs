//! The shards in `../shared/data`, where there are any.

use std::path::PathBuf;
use std::time::Instant;

use simsiam_pipeline::inspect::{InspectOptions, inspect};
use simsiam_pipeline::shards::{OpenOptions, ShardSet};

/// The folder beside the workspace, or `None` with a line that says that the test is skipped.
fn data(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no {}", path.display());
    None
}

/// Opens twice, the second time with the index of the first.
fn open(path: PathBuf, pattern: &str) -> ShardSet {
    let cache = tempfile::tempdir().unwrap();
    let options = OpenOptions { cache_dir: Some(cache.path().to_owned()), ..Default::default() };
    let patterns = [path.join(pattern).to_str().unwrap().to_owned()];
    let start = Instant::now();
    let first = ShardSet::open(&patterns, &options).unwrap();
    let built = start.elapsed();
    let start = Instant::now();
    let second = ShardSet::open(&patterns, &options).unwrap();
    println!(
        "{pattern}: {} samples, indexed in {built:?}, opened again in {:?}",
        first.len(),
        start.elapsed()
    );
    assert_eq!(first.fingerprint(), second.fingerprint());
    second
}

#[test]
fn cifar10() {
    let Some(path) = data("cifar10") else { return };
    let train = open(path.clone(), "train-{000..003}.tar");
    assert_eq!((train.len(), train.has_labels()), (50_000, true));
    assert_eq!(train.class_names().unwrap()[9], "truck");
    let report = inspect(&train, &InspectOptions { verify: true, ..Default::default() }, &mut |_| ());
    assert!(report.bad.is_empty(), "{report}");
    assert!(report.labels.values().all(|&count| count == 5_000) && report.labels.len() == 10);
    assert_eq!(open(path, "test-*").len(), 5_000);
}

#[test]
fn imagenet_sample() {
    let Some(path) = data("imagenet-sample") else { return };
    let set = open(path, "");
    let report = inspect(&set, &InspectOptions { verify: true, ..Default::default() }, &mut |_| ());
    assert!(report.bad.is_empty(), "{report}");
    assert_eq!(report.samples, report.labels.values().sum::<u64>());
}
