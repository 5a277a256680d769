//! Whole objects into a cache.

use super::server::Fault;
use super::*;

/// A server with one object of three parts, and an empty cache.
struct Fixture {
    server: Server,
    remote: Remote,
    dir: TempDir,
    object: RemoteObject,
}

const PATH: &str = "/bucket/a.tar";

impl Fixture {
    fn new() -> Fixture {
        Fixture::by(remote)
    }

    fn by(remote: fn(&Server) -> Remote) -> Fixture {
        let server = Server::start();
        server.put(PATH, bytes(THREE_PARTS));
        let remote = remote(&server);
        let object = object(&remote, "s3://bucket/a.tar");
        Fixture { server, remote, dir: tempfile::tempdir().unwrap(), object }
    }

    fn fetch(&self) -> Result<Held, RemoteError> {
        self.remote.fetch(&self.object, &cache(&self.dir)).wait()
    }

    /// Fetches it, and compares each byte.
    fn succeed(&self) {
        let held = self.fetch().unwrap();
        assert!(std::fs::read(held.path()).unwrap() == bytes(THREE_PARTS));
        assert_eq!(held.path().file_name().unwrap(), "a.tar");
    }

    /// Fails, and leaves nothing in the cache.
    fn fail(&self, fault: Fault) -> String {
        self.server.fail(PATH, usize::MAX, fault);
        let error = text(self.fetch(), &self.server);
        assert_eq!(left(self.dir.path()), 0, "{error}");
        error
    }

    fn downloads(&self) -> usize {
        self.server.requests().iter().filter(|request| request.starts_with("GET")).count()
    }
}

#[test]
fn a_large_object_comes_in_parts_and_once() {
    let fixture = Fixture::new();
    fixture.succeed();
    assert_eq!(fixture.downloads(), 3);
    fixture.succeed();
    assert_eq!(fixture.downloads(), 3, "the second time it is in the cache");
}

#[test]
fn a_small_object_comes_at_once() {
    let fixture = Fixture::new();
    fixture.server.put("/bucket/b.tar", bytes(MEGABYTE));
    let object = object(&fixture.remote, "s3://bucket/b.tar");
    let held = fixture.remote.fetch(&object, &cache(&fixture.dir)).wait().unwrap();
    assert_eq!(std::fs::read(held.path()).unwrap(), bytes(MEGABYTE));
    assert_eq!(fixture.server.requests().last().unwrap(), "GET /bucket/b.tar");
}

#[test]
fn two_tasks_download_once() {
    let fixture = Fixture::new();
    let other = remote(&fixture.server);
    let tasks = [
        fixture.remote.fetch(&fixture.object, &cache(&fixture.dir)),
        fixture.remote.fetch(&fixture.object, &cache(&fixture.dir)),
        other.fetch(&fixture.object, &cache(&fixture.dir)),
    ];
    let held = tasks.map(|task| task.wait().unwrap());
    assert!(held.iter().all(|one| one.path() == held[0].path()));
    assert_eq!(fixture.downloads(), 3);
}

#[test]
fn a_server_without_ranges_sends_it_in_one_stream() {
    let fixture = Fixture::new();
    fixture.server.fail(PATH, usize::MAX, Fault::NoRanges);
    fixture.succeed();
    assert!(fixture.server.requests().contains(&"GET /bucket/a.tar".to_owned()));
    let part = fixture.remote.read(&fixture.object, 5..9).wait().unwrap();
    assert_eq!(part, bytes(9)[5..]);
}

#[test]
fn parts_that_are_cut_off_are_sent_again() {
    let fixture = Fixture::new();
    fixture.server.fail(PATH, 2, Fault::CutAfter(10_000));
    fixture.succeed();
    assert_eq!(fixture.downloads(), 5, "the others were not");
    let fixture = Fixture::new();
    let error = fixture.fail(Fault::CutAfter(1_000));
    let (part, rest) = (8 << 20, 12_345);
    let lengths = [part, rest]
        .map(|expected| format!("s3://bucket/a.tar: the server sent 1000 of {expected} bytes, 3 times"));
    assert!(lengths.contains(&error), "{error}");
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let fixture = Fixture::by(brisk_remote);
    fixture.server.fail(PATH, 1, Fault::StallAfter(5_000));
    fixture.succeed();
    let fixture = Fixture::by(brisk_remote);
    let error = fixture.fail(Fault::StallAfter(5_000));
    assert!(error.contains("the server sent next to nothing for 1 s after 5000 of "), "{error}");
    assert!(error.ends_with(" bytes, 3 times"), "{error}");
    let error = fixture.fail(Fault::Drip);
    assert!(error.contains("the server sent next to nothing for 1 s after "), "{error}");
}

#[test]
fn failures_of_the_server_pass_or_are_named() {
    let fixture = Fixture::new();
    fixture.server.fail(PATH, 2, Fault::Refuse { status: 503, code: "SlowDown" });
    fixture.succeed();
    let fixture = Fixture::new();
    let error = fixture.fail(Fault::Refuse { status: 500, code: "InternalError" });
    assert_eq!(error, "s3://bucket/a.tar: the server answered 500 InternalError, 3 times");
    let error = fixture.fail(Fault::Refuse { status: 403, code: "AccessDenied" });
    assert!(error.starts_with("s3://bucket/a.tar: access denied (403 AccessDenied): "), "{error}");
}

#[test]
fn another_version_is_not_mixed_in() {
    let changed = "s3://bucket/a.tar: the object has changed since it was listed: start again";
    let fixture = Fixture::new();
    assert_eq!(fixture.fail(Fault::NewVersions), changed);
    assert_eq!(fixture.fail(Fault::Longer(1)), changed);
    fixture.server.fail(PATH, 0, Fault::NewVersions);
    fixture.server.put(PATH, bytes(THREE_PARTS - 1));
    assert_eq!(text(fixture.fetch(), &fixture.server), changed);
    let listed_anew = object(&fixture.remote, "s3://bucket/a.tar");
    assert_ne!(listed_anew.version(), fixture.object.version());
    assert!(fixture.remote.fetch(&listed_anew, &cache(&fixture.dir)).wait().is_ok());
}

#[test]
fn a_damaged_file_is_fetched_anew() {
    let fixture = Fixture::new();
    let path = fixture.fetch().unwrap().path().to_owned();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1_000).unwrap();
    fixture.succeed();
    let mut damaged = bytes(THREE_PARTS);
    damaged[9_999_999] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    fixture.succeed();
    assert_eq!(fixture.downloads(), 9);
}

#[test]
fn an_object_that_is_too_large_for_the_cache_is_not_begun() {
    let fixture = Fixture::new();
    let small = Cache::open(fixture.dir.path(), 1 << 20, Duration::ZERO).unwrap();
    let error = text(fixture.remote.fetch(&fixture.object, &small).wait(), &fixture.server);
    let dir = fixture.dir.path().display();
    assert_eq!(
        error,
        format!(
            "s3://bucket/a.tar: {THREE_PARTS} bytes do not fit into the cache {dir} of 1048576 bytes: it must be larger"
        )
    );
    assert_eq!(fixture.downloads(), 0);
}

#[test]
fn a_task_that_is_dropped_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.server.fail(PATH, usize::MAX, Fault::StallAfter(5_000));
    let task = fixture.remote.fetch(&fixture.object, &cache(&fixture.dir));
    while fixture.downloads() == 0 {
        std::thread::yield_now();
    }
    drop(task);
    while left(fixture.dir.path()) > 0 {
        std::thread::yield_now();
    }
    let task = fixture.remote.fetch(&fixture.object, &cache(&fixture.dir));
    drop(fixture.remote);
    assert_eq!(text(task.wait(), &fixture.server), "s3://bucket/a.tar: the download was stopped");
}
