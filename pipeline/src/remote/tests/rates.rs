//! By hand: how fast, and against a real server. `cargo test -p simsiam-pipeline --features remote --release -- --ignored --nocapture rates`

use std::time::Instant;

use super::*;

/// Fetches all of `pattern` into an empty cache, 8 objects ahead, and prints how long that took.
fn fetch_all(remote: &Remote, pattern: &str) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), 2 << 30, Duration::from_secs(60)).unwrap();
    let objects = remote.list(pattern).wait().unwrap();
    let since = Instant::now();
    let mut bytes = 0;
    for ahead in objects.chunks(8) {
        let tasks: Vec<_> = ahead.iter().map(|object| remote.fetch(object, &cache)).collect();
        for (task, object) in tasks.into_iter().zip(ahead) {
            let held = task.wait().unwrap();
            assert_eq!(std::fs::metadata(held.path()).unwrap().len(), object.bytes);
            bytes += object.bytes;
        }
    }
    let seconds = since.elapsed().as_secs_f64();
    let (count, rate) = (objects.len(), bytes as f64 / 1e6 / seconds);
    println!("{pattern}: {count} objects, {bytes} bytes, {seconds:.2} s, {rate:.0} MB/s");
    bytes
}

#[test]
#[ignore = "takes a gigabyte, and says nothing where other tests run"]
fn rates_on_the_loopback_interface() {
    let server = Server::start();
    server.put("/large/a.tar", bytes(500_000_000));
    let small = bytes(10_000_000);
    for number in 0..50 {
        server.put(&format!("/small/{number:02}.tar"), small.clone());
    }
    let remote =
        Remote::new(RemoteOptions { timeout: Duration::from_secs(30), connections: 16, ..options(&server) });
    for _ in 0..3 {
        assert_eq!(fetch_all(&remote, "s3://large/"), 500_000_000);
        assert_eq!(fetch_all(&remote, "s3://small/"), 500_000_000);
    }
}

#[test]
#[ignore = "needs an S3 server: AWS_ENDPOINT_URL and the like, and TEST_PATTERN such as s3://bucket/train/"]
fn rates_of_a_real_server() {
    let pattern = std::env::var("TEST_PATTERN").unwrap();
    assert!(fetch_all(&Remote::new(RemoteOptions::default()), &pattern) > 0);
}
