//! Against a server on the loopback interface that misbehaves when told so.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use server::Server;

mod fetch;
mod s3;
#[path = "../../../tests/support/server/mod.rs"]
mod server;
mod web;

/// A megabyte, and twice the size of a part with a remainder.
const MEGABYTE: usize = 1 << 20;
const THREE_PARTS: usize = (16 << 20) + 12_345;

/// Bytes that are told apart.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// How long a server may be silent where it is meant to be. Elsewhere it has longer than any machine is busy.
const SHORT: Duration = Duration::from_secs(1);

/// Few tries, and the server as S3's endpoint.
fn options(server: &Server) -> RemoteOptions {
    let settings = [
        ("AWS_ENDPOINT_URL", server.url()),
        ("AWS_ACCESS_KEY_ID", "AKIAHIDDEN".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "HIDDEN".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    RemoteOptions {
        connections: 4,
        timeout: Duration::from_secs(60),
        retries: 2,
        first_pause: Duration::from_millis(1),
        settings: settings.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
    }
}

fn remote(server: &Server) -> Remote {
    Remote::new(options(server))
}

/// One that is not patient.
fn brisk_remote(server: &Server) -> Remote {
    Remote::new(RemoteOptions { timeout: SHORT, ..options(server) })
}

/// A cache of 64 MiB.
fn cache(dir: &TempDir) -> Cache {
    Cache::open(dir.path(), 64 << 20, Duration::from_secs(5)).unwrap()
}

/// The one object of a URL.
fn object(remote: &Remote, url: &str) -> RemoteObject {
    let mut objects = remote.list(url).wait().unwrap();
    assert_eq!(objects.len(), 1);
    objects.remove(0)
}

/// An error's text with the server's address left out. No secret is in it, nor in what a log would print of it.
fn text<T>(result: Result<T, RemoteError>, server: &Server) -> String {
    let error = result.err().expect("this cannot succeed");
    let text = error.to_string();
    assert!(!format!("{text} {error:?}").contains("HIDDEN"), "{error:?}");
    text.replace(&server.url(), "URL")
}

/// What lies in a cache's folder, but for the lock.
fn left(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != ".lock").count()
}
