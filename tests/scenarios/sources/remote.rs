//! Shards that are on a web server or in a bucket.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::tars;
use crate::fixture::{Fixture, refused, simsiam, succeed, text};
use crate::interruption::{resume, spawn, wait_for};
use crate::server::{Fault, Server};

/// Puts the tars, and what `besides` says, where a web client and an S3 client find them: in the bucket `set`.
fn publish(fixture: &Fixture, server: &Server, tars: &[String], besides: &[&str]) {
    for tar in tars {
        for end in [""].iter().chain(besides) {
            let bytes = fs::read(fixture.path("named").join(format!("{tar}{end}"))).unwrap();
            server.put(&format!("/set/{tar}{end}"), bytes);
        }
    }
    server.put("/set/classes.txt", fs::read(fixture.path("named/classes.txt")).unwrap());
}

/// `train` on `shards`, with a cache of its own, and the server as its S3.
fn train(fixture: &Fixture, server: &Server, run: &str, shards: &str, more: &[&str]) -> Command {
    let mut command = super::train(fixture, run, shards, more);
    with_bucket(&mut command, fixture, server);
    command
}

fn with_bucket(command: &mut Command, fixture: &Fixture, server: &Server) {
    command
        .env("XDG_CACHE_HOME", fixture.path("cache"))
        .env("AWS_ENDPOINT_URL", server.url())
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
        .env("AWS_REGION", "us-east-1");
}

#[test]
fn a_web_server_and_a_bucket_give_the_same_run_as_the_files() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[]);
    let last = tars.len() - 1;
    let sources = [
        ("files", fixture.path("named").to_str().unwrap().to_owned()),
        ("web", format!("{}/set/train-{{000..{last:03}}}.tar", server.url())),
        ("bucket", "s3://set/".to_owned()),
    ];
    let cache = fixture.path("named-cache");
    for (run, shards) in &sources {
        let mut command = train(&fixture, &server, run, shards, &["--epochs", "1"]);
        if *run == "bucket" {
            // As in a container without a home.
            command.env_remove("HOME").env_remove("XDG_CACHE_HOME").arg("--cache-dir").arg(&cache);
        }
        succeed(&mut command);
        assert_eq!(fixture.metrics(run), fixture.metrics("files"), "{run}");
    }
    let config = fs::read_to_string(fixture.path("bucket/config.toml")).unwrap();
    assert!(!config.contains("secret-of-the-test"));
}

#[test]
fn a_run_killed_on_a_folder_goes_on_from_a_bucket() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let folder = fixture.path("images/train").to_str().unwrap().to_owned();
    let more = ["--epochs", "2", "--checkpoint-every", "7"];
    succeed(&mut train(&fixture, &server, "whole", &folder, &more));
    let mut child = spawn(&mut train(&fixture, &server, "killed", &folder, &more));
    wait_for(&fixture.path("killed/checkpoints/step-000000007"), &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut command = resume(&fixture, "killed");
    with_bucket(command.args(["--shards", "s3://set/"]), &fixture, &server);
    succeed(&mut command);
    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
}

#[test]
fn windows_of_remote_shards_pass_through_a_small_cache_once_an_epoch() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let largest =
        tars.iter().map(|tar| fs::metadata(fixture.path("named").join(tar)).unwrap().len()).max().unwrap();
    assert!(tars.len() >= 6, "{tars:?}");
    let named = fixture.path("named").to_str().unwrap().to_owned();
    // Two windows of two shards, and not all of them; and one of one, with no room for the next beside it.
    let train_in = |window: &str, limit: u64| {
        let (shuffle, size) = (format!("window={window}"), format!("{limit}B"));
        let windows = ["--epochs", "3", "--shuffle", &shuffle, "--knn-every", "0"];
        let small = [&windows[..], &["--cache-size", &size]].concat();
        let run = |kind: &str| format!("{kind}-{window}");
        succeed(&mut train(&fixture, &server, &run("remote"), "s3://set/", &small));
        succeed(&mut train(&fixture, &server, &run("local"), &named, &windows));
        assert_eq!(fixture.metrics(&run("remote")), fixture.metrics(&run("local")));
        let kept = bytes_below(&fixture.path("cache/simsiam/shards"));
        assert!((1..=limit).contains(&kept), "{kept} bytes in a cache of {limit}");
    };
    let limit = 4 * (largest + 4096);
    train_in("2", limit);

    let requests = server.requests();
    for tar in &tars {
        let path = format!("GET /set/{tar}");
        let fetched = requests.iter().filter(|line| line.split(" bytes").next().unwrap().trim_end() == path);
        let fetched =
            fetched.count() + requests.iter().filter(|line| line.starts_with(&format!("{path} 0-"))).count();
        assert!(fetched <= 3, "{tar} was fetched {fetched} times: {requests:?}");
    }
    train_in("1", 3 * (largest + 4096) / 2);

    let size = format!("{limit}B");
    let whole = ["--epochs", "1", "--cache-size", &size];
    let refusal = train(&fixture, &server, "refused", "s3://set/", &whole).output().unwrap();
    assert!(!refusal.status.success());
    assert!(text(&refusal).contains("--shuffle window=N"), "{}", text(&refusal));
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { bytes_below(&path) } else { fs::metadata(path).unwrap().len() })
        .sum()
}

#[test]
fn what_reads_shards_one_after_the_other_needs_no_more_room_than_one_takes() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let inspected = |shards: &str, more: &[&str]| {
        let mut command = simsiam();
        command.args(["inspect", "--verify", "--json"]).args(more).arg(shards);
        with_bucket(&mut command, &fixture, &server);
        let report: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        (report["samples"].clone(), report["bad"].clone(), report["formats"].clone())
    };
    let named = fixture.path("named").to_str().unwrap().to_owned();
    // Two threads read, perhaps from two shards.
    assert_eq!(inspected("s3://set/", &["--cache-size", "200KB"]), inspected(&named, &[]));
}

#[test]
fn a_shard_that_cannot_be_fetched_ends_the_run_with_the_reason_and_nothing_is_lost() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let more = ["--epochs", "2", "--shuffle", "window=1", "--knn-every", "0", "--checkpoint-every", "5"];
    succeed(&mut train(&fixture, &server, "whole", "s3://set/", &more));

    fs::remove_dir_all(fixture.path("cache/simsiam/shards")).unwrap();
    let shard = format!("/set/{}", tars[1]);
    // Its length is asked for when the run begins.
    server.fail(&shard, usize::MAX, Fault::CutAfter(100));
    let output = train(&fixture, &server, "broken", "s3://set/", &more).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&format!("s3://set/{}: ", tars[1])), "{printed}");
    assert!(!printed.contains("secret-of-the-test"), "{printed}");

    server.fail(&shard, 0, Fault::NoRanges);
    let mut command = resume(&fixture, "broken");
    with_bucket(&mut command, &fixture, &server);
    succeed(&mut command);
    assert_eq!(fixture.metrics("broken"), fixture.metrics("whole"));
}

#[test]
fn a_list_of_classes_that_cannot_be_fetched_is_an_error_and_not_another_numbering() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[]);
    server.fail("/set/classes.txt", usize::MAX, Fault::Refuse { status: 503, code: "SlowDown" });
    let mut inspect = simsiam();
    inspect.args(["inspect", "s3://set/"]);
    with_bucket(&mut inspect, &fixture, &server);
    let printed = refused(&mut inspect);
    assert!(printed.contains("s3://set/classes.txt: the server answered 503"), "{printed}");
}
