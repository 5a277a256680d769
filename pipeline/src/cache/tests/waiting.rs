//! Claims that cannot be met at once.

use std::thread;

use super::*;

/// Runs a claim on another thread, with a cache of its own.
fn claim_aside<T: Send>(
    dir: &Path,
    limit: u64,
    name: &str,
    meanwhile: impl FnOnce() -> T,
) -> (Result<Claim, CacheError>, T) {
    thread::scope(|scope| {
        let aside = scope.spawn(|| claim(&cache(dir, limit), name, BYTES));
        thread::sleep(LOOK_AGAIN);
        let value = meanwhile();
        (aside.join().unwrap(), value)
    })
}

#[test]
fn the_same_entry_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let reservation = reserve(&cache(dir.path(), ENTRY), "a", BYTES);
    let commit = || {
        fill(&reservation, BYTES);
        reservation.commit().unwrap()
    };
    let (other, held) = claim_aside(dir.path(), ENTRY, "a", commit);
    let Claim::Held(other) = other.unwrap() else { panic!("written by the first") };
    assert_eq!(other.path(), held.path());
}

#[test]
fn who_waits_writes_what_the_first_has_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let reservation = reserve(&cache(dir.path(), ENTRY), "a", BYTES);
    let (other, ()) = claim_aside(dir.path(), ENTRY, "a", || drop(reservation));
    assert!(matches!(other.unwrap(), Claim::Reserved(_)));
}

#[test]
fn room_that_is_given_back_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let held = add(&cache(dir.path(), ENTRY), "a", BYTES);
    let (other, ()) = claim_aside(dir.path(), ENTRY, "b", || drop(held));
    assert!(matches!(other.unwrap(), Claim::Reserved(_)));
}

#[test]
fn a_writer_that_makes_progress_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let reservation = reserve(&cache(dir.path(), ENTRY), "a", BYTES);
    let slowly = || {
        // Three times as long as a claim waits for one that does nothing.
        for _ in 0..30 {
            thread::sleep(LOOK_AGAIN);
            fill(&reservation, BYTES);
        }
        reservation.commit().unwrap()
    };
    let (other, _) = claim_aside(dir.path(), ENTRY, "a", slowly);
    assert!(matches!(other.unwrap(), Claim::Held(_)));
}

#[test]
fn waiting_has_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let one = Cache::open(dir.path(), ENTRY, LOOK_AGAIN).unwrap();
    let error = |name: &str| claim(&one, name, BYTES).unwrap_err().to_string();

    let reservation = reserve(&one, "a", BYTES);
    let expected =
        format!("another program is fetching a into the cache {at} and has written nothing for 0.02 s");
    assert_eq!(error("a"), expected);
    let no_room = format!(
        "no room for 100000 bytes in the cache {at} of 104096 bytes: 104096 of them were in use for 0.02 s; \
         it must be larger, or shared by fewer programs"
    );
    assert_eq!(error("b"), no_room);
    fill(&reservation, BYTES);
    let held = reservation.commit().unwrap();
    assert_eq!(error("b"), no_room);
    drop(held);

    let lock = fs::File::open(dir.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        error("b"),
        format!("another program has had the cache {at} locked for 0.02 s: is it stopped?")
    );
}
