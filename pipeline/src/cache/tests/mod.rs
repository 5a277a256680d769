//! One folder, used by one or many.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;

mod processes;
mod waiting;

/// What an entry of `BYTES` bytes counts as.
const ENTRY: u64 = 100_000 + 4096;
const BYTES: u64 = 100_000;

fn cache(dir: &Path, limit: u64) -> Cache {
    Cache::open(dir, limit, Duration::from_millis(200)).unwrap()
}

fn key(name: &str) -> Key {
    Key::new(name, "1", name)
}

fn claim(cache: &Cache, name: &str, bytes: u64) -> Result<Claim, CacheError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(cache.claim(&key(name), bytes))
}

fn reserve(cache: &Cache, name: &str, bytes: u64) -> Reservation {
    match claim(cache, name, bytes).unwrap() {
        Claim::Reserved(reservation) => reservation,
        Claim::Held(held) => panic!("{} was there already", held.path().display()),
    }
}

/// Writes an entry in two parts, the last one first.
fn add(cache: &Cache, name: &str, bytes: u64) -> Held {
    let reservation = reserve(cache, name, bytes);
    fill(&reservation, bytes);
    reservation.commit().unwrap()
}

fn fill(reservation: &Reservation, bytes: u64) {
    let half = bytes / 2;
    reservation.write_at(half, &vec![2; (bytes - half) as usize]).unwrap();
    reservation.write_at(0, &vec![1; half as usize]).unwrap();
}

/// Whether the entry is there, without a new one where it is not. Counts as a use.
fn has(cache: &Cache, name: &str) -> bool {
    Held::find(&cache.dir, &key(name)).unwrap().is_some()
}

/// All that lies in a folder and below it, in bytes.
fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = |path: PathBuf| if path.is_dir() { bytes_in(&path) } else { length(&path) };
    entries.map(|entry| bytes(entry.path())).sum()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_file_is_found_again_under_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let first = add(&cache(dir.path(), ENTRY), "s3://bucket/a.tar", BYTES);
    let again = claim(&cache(dir.path(), ENTRY), "s3://bucket/a.tar", BYTES).unwrap();
    let Claim::Held(again) = again else { panic!("it is there") };
    assert_eq!(first.path(), again.path());
    assert_eq!(again.path().file_name().unwrap(), "a.tar");
    let mut expected = vec![1; 50_000];
    expected.extend([2; 50_000]);
    assert_eq!(fs::read(again.path()).unwrap(), expected);
}

#[test]
fn the_entry_that_was_used_longest_ago_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 3 * ENTRY);
    for name in ["a", "b", "c"] {
        add(&cache, name, BYTES);
    }
    assert!(has(&cache, "a"));
    add(&cache, "d", BYTES);
    assert_eq!(["a", "b", "c", "d"].map(|name| has(&cache, name)), [true, false, true, true]);
    // Now in the order a, c, d.
    add(&cache, "e", 2 * BYTES);
    assert_eq!(["a", "c", "d", "e"].map(|name| has(&cache, name)), [false, false, true, true]);
}

#[test]
fn what_is_held_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 2 * ENTRY);
    let _held = add(&cache, "a", BYTES);
    for name in ["b", "c", "d"] {
        add(&cache, name, BYTES);
        assert!(has(&cache, "a") && has(&cache, name));
    }
}

#[test]
fn nothing_goes_if_that_is_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 2 * ENTRY);
    let _held = add(&cache, "a", BYTES);
    add(&cache, "b", BYTES);
    assert!(claim(&cache, "c", 2 * BYTES).is_err());
    assert!(has(&cache, "b"));
}

#[test]
fn what_lies_beside_a_file_counts_and_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), 3 * ENTRY);
    fs::write(dir.path().join("notes.txt"), "not the cache's").unwrap();
    let index = add(&cache, "a", BYTES).path().with_extension("idx");
    fs::write(&index, vec![0; BYTES as usize]).unwrap();
    add(&cache, "b", BYTES / 2);
    assert!(has(&cache, "b") && has(&cache, "a"));
    add(&cache, "c", BYTES);
    assert!(!has(&cache, "b") && has(&cache, "a") && has(&cache, "c"));
    add(&cache, "d", BYTES);
    assert!(!index.exists() && !has(&cache, "a") && has(&cache, "c") && has(&cache, "d"));
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn a_reservation_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), ENTRY);
    let reservation = reserve(&cache, "a", BYTES);
    reservation.write_at(0, &[1; 10]).unwrap();
    assert_eq!(bytes_in(dir.path()), BYTES, "counts from the start");
    drop(reservation);
    assert_eq!(bytes_in(dir.path()), 0);
    add(&cache, "b", BYTES);
}

#[test]
fn a_record_that_is_damaged_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path(), ENTRY);
    let folder = add(&cache, "a", BYTES).path().parent().unwrap().to_owned();
    fs::write(folder.join(".record"), "{\"bytes\": 100").unwrap();
    add(&cache, "a", BYTES);
    assert!(has(&cache, "a"));
}

/// `/dev/full` answers each write as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_with_what_was_to_fit() {
    let dir = tempfile::tempdir().unwrap();
    let mut reservation = reserve(&cache(dir.path(), ENTRY), "a", BYTES);
    reservation.replace_file(fs::File::options().read(true).write(true).open("/dev/full").unwrap());
    let error = reservation.write_at(0, &[1; 10]).unwrap_err().to_string();
    let expected = format!(
        "the disk is full: 100000 bytes do not fit into the cache {} of 104096 bytes; free some space, or make it smaller",
        dir.path().display()
    );
    assert_eq!(error, expected);
    drop(reservation);
    assert_eq!(bytes_in(dir.path()), 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Cache::open(&file.join("cache"), 1, Duration::ZERO).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot make {}", file.join("cache").display())), "{error}");
}
