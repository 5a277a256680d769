//! Several processes: this test program again, told by the environment what to do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

/// Where a child finds the cache.
const CACHE_DIR: &str = "CACHE_OF_THE_TEST";

fn child(test: &str, dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(CACHE_DIR, dir);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn dir_of_child() -> Option<PathBuf> {
    std::env::var_os(CACHE_DIR).map(PathBuf::from)
}

/// Asks for entries of many sizes in a cache that holds a few, and reads what it gets.
fn churn(dir: &Path, seed: u64) {
    let cache = Cache::open(dir, 4 * ENTRY, Duration::from_secs(60)).unwrap();
    for round in 0..40 {
        let number = (seed + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        let (name, bytes) = (format!("entry-{number}"), BYTES / 16 * (number + 1));
        let held = match claim(&cache, &name, bytes).unwrap() {
            Claim::Held(held) => held,
            Claim::Reserved(reservation) if round % 7 == 6 => {
                drop(reservation);
                continue;
            }
            Claim::Reserved(reservation) => {
                fill(&reservation, bytes);
                reservation.commit().unwrap()
            }
        };
        let contents = fs::read(held.path()).unwrap();
        assert_eq!(contents.len() as u64, bytes);
        assert!(contents[..bytes as usize / 2].iter().all(|&byte| byte == 1));
        assert!(contents[bytes as usize / 2..].iter().all(|&byte| byte == 2));
    }
}

#[test]
fn the_limit_holds_over_threads_and_processes() {
    if let Some(dir) = dir_of_child() {
        return churn(&dir, 1_000);
    }
    let dir = tempfile::tempdir().unwrap();
    let test = "cache::tests::processes::the_limit_holds_over_threads_and_processes";
    let is_over = AtomicBool::new(false);
    let most = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = bytes_in(dir.path()).max(most);
            }
            most
        });
        let mut child = child(test, dir.path());
        let path = dir.path();
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || churn(path, seed * 10))).collect();
        let joined: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let status = child.wait().unwrap();
        is_over.store(true, Ordering::Relaxed);
        assert!(joined.iter().all(Result::is_ok) && status.success());
        watch.join().unwrap()
    });
    assert!(most <= 4 * ENTRY, "{most}");
    assert!(most > 2 * ENTRY, "{most}: it was never full");
}

#[test]
fn what_a_killed_process_has_begun_makes_way() {
    if let Some(dir) = dir_of_child() {
        let reservation = reserve(&cache(&dir, ENTRY), "a", BYTES);
        reservation.write_at(0, &[1; 1_000]).unwrap();
        println!("\nwritten");
        loop {
            thread::park();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = child("cache::tests::processes::what_a_killed_process_has_begun_makes_way", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "written"));
    let cache = cache(dir.path(), ENTRY);
    assert!(claim(&cache, "b", BYTES).is_err(), "it is alive");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(bytes_in(dir.path()), BYTES, "left behind");
    drop(reserve(&cache, "a", BYTES));
    add(&cache, "b", BYTES);
    assert_eq!(
        bytes_in(dir.path()),
        BYTES + length(&Path::new(&cache.dir).join(key("b").folder()).join(".record"))
    );
}
