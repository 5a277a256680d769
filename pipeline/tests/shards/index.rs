//! The sidecar: where it lives, and when it is built anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::sampler::SampleSet;
use simsiam_pipeline::shards::{IndexProgress, OpenOptions};

use crate::fixture::{Fixture, contents};

fn modified(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn cached(fixture: &Fixture) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(fixture.cache()) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn it_is_written_beside_the_shard_once() {
    let fixture = Fixture::new();
    let sidecar = fixture.shard("a.tar", 5).with_extension("tar.idx");
    fixture.open().unwrap();
    let first = modified(&sidecar);
    assert_eq!(fixture.open().unwrap().len(), 5);
    assert_eq!(modified(&sidecar), first);
    assert!(cached(&fixture).is_empty());
    assert_eq!(fs::read_dir(fixture.shards()).unwrap().count(), 2, "no temporary files are left");
}

#[test]
fn it_is_built_anew_when_the_shard_changes() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 5);
    assert_eq!(fixture.open().unwrap().len(), 5);
    fixture.shard("a.tar", 6);
    let set = fixture.open().unwrap();
    assert_eq!((set.len(), &*set.read(5).unwrap().bytes), (6, &contents(5)[..]));
}

#[test]
fn another_shards_index_is_not_used() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 5);
    fixture.shard("b.tar", 6);
    fixture.open().unwrap();
    fs::copy(fixture.path("b.tar.idx"), fixture.path("a.tar.idx")).unwrap();
    assert_eq!(fixture.open_pattern(&fixture.path("a.tar")).unwrap().len(), 5);
}

#[test]
fn a_damaged_index_is_replaced_whatever_byte_is_wrong() {
    let fixture = Fixture::new();
    let sidecar = fixture.shard("a.tar", 3).with_extension("tar.idx");
    let fingerprint = fixture.open().unwrap().fingerprint();
    let whole = fs::read(&sidecar).unwrap();
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        fs::write(&sidecar, broken).unwrap();
        assert_eq!(fixture.open().unwrap().fingerprint(), fingerprint, "byte {at}");
        // Without the magic it may be anybody's file: the index goes to the cache then.
        assert_eq!(fs::read(&sidecar).unwrap() == whole, at >= 8, "byte {at}");
        assert_eq!(cached(&fixture).len(), usize::from(at < 8), "byte {at}");
        let _ = fs::remove_dir_all(fixture.cache());
    }
    for length in 0..whole.len() {
        fs::write(&sidecar, &whole[..length]).unwrap();
        assert_eq!(fixture.open().unwrap().fingerprint(), fingerprint, "cut at {length}");
    }
}

#[test]
fn a_folder_marked_read_only_stays_as_it_is() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 5);
    let set_read_only = |read_only| {
        let mut permissions = fs::metadata(fixture.shards()).unwrap().permissions();
        permissions.set_readonly(read_only);
        fs::set_permissions(fixture.shards(), permissions).unwrap();
    };
    set_read_only(true);
    fixture.open().unwrap();
    assert_eq!(fs::read_dir(fixture.shards()).unwrap().count(), 1);
    let in_cache = cached(&fixture);
    assert!(in_cache[0].to_str().unwrap().ends_with("-a.tar.idx") && in_cache.len() == 1, "{in_cache:?}");
    let first = modified(&in_cache[0]);
    assert_eq!(fixture.open().unwrap().len(), 5);
    assert_eq!(modified(&in_cache[0]), first);
    set_read_only(false);
}

#[test]
fn a_sidecar_that_cannot_be_written_goes_to_the_cache() {
    let fixture = Fixture::new();
    let sidecar = fixture.shard("a.tar", 5).with_extension("tar.idx");
    fs::create_dir(&sidecar).unwrap();
    assert_eq!(fixture.open().unwrap().len(), 5);
    assert_eq!(cached(&fixture).len(), 1);
    assert_eq!(fs::read_dir(fixture.shards()).unwrap().count(), 2, "no temporary files are left");
}

#[test]
fn someone_elses_file_of_that_name_is_not_touched() {
    let fixture = Fixture::new();
    let sidecar = fixture.shard("a.tar", 5).with_extension("tar.idx");
    fs::write(&sidecar, "offsets of another tool").unwrap();
    assert_eq!(fixture.open().unwrap().len(), 5);
    assert_eq!(fs::read_to_string(&sidecar).unwrap(), "offsets of another tool");
    assert_eq!(cached(&fixture).len(), 1);
}

#[test]
fn without_any_place_it_stays_in_memory() {
    let fixture = Fixture::new();
    let sidecar = fixture.shard("a.tar", 5).with_extension("tar.idx");
    fs::create_dir(&sidecar).unwrap();
    fs::write(fixture.cache(), "a file where the cache directory belongs").unwrap();
    let set = fixture.open().unwrap();
    assert_eq!((set.len(), &*set.read(4).unwrap().bytes), (5, &contents(4)[..]));
}

#[test]
fn a_hundred_shards_are_indexed_at_once() {
    let fixture = Fixture::new();
    for number in 0..100 {
        fixture.shard(&format!("{number:03}.tar"), 3);
    }
    let set = fixture.open_pattern(&fixture.path("{000..099}.tar")).unwrap();
    assert_eq!(set.len(), 300);
    let names =
        set.shards().map(|shard| shard.path().file_stem().unwrap().to_str().unwrap().parse::<u32>().unwrap());
    assert!(names.eq(0..100));
}

#[test]
fn indexing_says_how_far_it_is_and_an_index_needs_none() {
    let fixture = Fixture::new();
    let bytes: u64 =
        ["a.tar", "b.tar"].map(|name| fs::metadata(fixture.shard(name, 9)).unwrap().len()).iter().sum();
    let told = Arc::new(Mutex::new(Vec::new()));
    let open = || {
        let telling = told.clone();
        let progress = IndexProgress::new(move |done, total| telling.lock().unwrap().push((done, total)));
        let pattern = fixture.shards().to_str().unwrap().to_owned();
        let options =
            OpenOptions { cache_dir: Some(fixture.cache()), threads: 1, progress, ..OpenOptions::default() };
        ShardSet::open(&[pattern], &options).unwrap()
    };
    let set = open();
    let lines = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(lines.last(), Some(&(bytes, bytes)));
    assert!(lines.is_sorted() && lines.iter().all(|(done, total)| done <= total), "{lines:?}");
    open();
    assert!(told.lock().unwrap().is_empty());

    // The same images are found under other names and in other archives.
    let other = Fixture::new();
    fs::copy(fixture.path("a.tar"), other.path("copy.tar")).unwrap();
    let other = other.open().unwrap();
    assert_eq!((other.shared_with(None, &set, None), other.len()), (9, 9));
    let some = |numbers: &[u64]| SampleSet::new(numbers, 9);
    assert_eq!(other.shared_with(Some(&some(&[0, 1, 2])), &set, Some(&some(&[2, 3]))), 1);
    assert_eq!(other.shared_with(None, &set, Some(&some(&[]))), 0);
}
