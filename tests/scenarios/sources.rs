//! The same images from a folder, a zip, tars, a web server and a bucket: the same run.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::pack::{PackOptions, PackOrder, pack};
use simsiam_pipeline::shards::OpenOptions;

use crate::fixture::{Fixture, refused, succeed, text};
use crate::interruption::{resume, spawn, wait_for};
use crate::server::{Fault, Server};

/// The training images as tars in the order of names, eight of them or so, with their indexes; their names.
fn tars(fixture: &Fixture) -> Vec<String> {
    let out = fixture.path("named");
    let options = PackOptions { order: PackOrder::Names, shard_bytes: 60_000, ..PackOptions::default() };
    let report = pack(&fixture.path("images/train"), &out, &options, &mut |_| ()).unwrap();
    ShardSet::open(&[out.to_str().unwrap()], &OpenOptions::default()).unwrap();
    report.shards.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn zip(fixture: &Fixture) -> String {
    let (root, path) = (fixture.path("images/train"), fixture.path("images.zip"));
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for class in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        for image in fs::read_dir(&class).unwrap().map(|entry| entry.unwrap().path()) {
            let name = image.strip_prefix(&root).unwrap().to_str().unwrap();
            writer.start_file(name, options).unwrap();
            writer.write_all(&fs::read(&image).unwrap()).unwrap();
        }
    }
    writer.finish().unwrap();
    path.to_str().unwrap().to_owned()
}

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
    let mut command = fixture.train(run, &["--knn-every", "1"]);
    command.arg("--shards").arg(shards).args(more);
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
fn every_source_gives_the_same_losses_and_accuracies() {
    let fixture = Fixture::new();
    let (server, tars, zip) = (Server::start(), tars(&fixture), zip(&fixture));
    publish(&fixture, &server, &tars, &[]);
    let last = tars.len() - 1;
    let sources = [
        ("tars", fixture.path("named").to_str().unwrap().to_owned()),
        ("folder", fixture.path("images/train").to_str().unwrap().to_owned()),
        ("zip", zip),
        ("web", format!("{}/set/train-{{000..{last:03}}}.tar", server.url())),
        ("bucket", "s3://set/".to_owned()),
    ];
    for (run, shards) in &sources {
        succeed(&mut train(&fixture, &server, run, shards, &["--epochs", "1"]));
        assert_eq!(fixture.metrics(run), fixture.metrics("tars"), "{run}");
    }
    let steps = 180 / 8;
    assert!(sources.iter().all(|(run, _)| fixture.weights(run, steps) == fixture.weights("tars", steps)));
    assert!(fixture.metrics("tars").last().unwrap()["knn_top1"].is_number());
    let config = fs::read_to_string(fixture.path("bucket/config.toml")).unwrap();
    assert!(!config.contains("secret-of-the-test"));
}

#[test]
fn a_run_killed_on_a_folder_goes_on_from_a_bucket_and_a_zip() {
    let fixture = Fixture::new();
    let (server, tars, zip) = (Server::start(), tars(&fixture), zip(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let folder = fixture.path("images/train").to_str().unwrap().to_owned();
    let more = ["--epochs", "2", "--checkpoint-every", "7"];
    succeed(&mut train(&fixture, &server, "whole", &folder, &more));
    let mut child = spawn(&mut train(&fixture, &server, "killed", &folder, &more));
    for (step, shards) in [(7, "s3://set/"), (21, &zip)] {
        wait_for(&fixture.path(&format!("killed/checkpoints/step-{step:09}")), &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        let mut command = resume(&fixture, "killed");
        with_bucket(command.args(["--shards", shards]), &fixture, &server);
        child = spawn(&mut command);
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
    // Only what was needed of what is another set.
    let other = refused(resume(&fixture, "killed").arg("--shards").arg(fixture.path("images/val")));
    assert!(other.contains("the training shards are not those that it began with"), "{other}");
}

#[test]
fn windows_of_remote_shards_pass_through_a_small_cache_once_an_epoch() {
    let fixture = Fixture::new();
    let (server, tars) = (Server::start(), tars(&fixture));
    publish(&fixture, &server, &tars, &[".idx"]);
    let largest = tars.iter().map(|tar| fs::metadata(fixture.path("named").join(tar)).unwrap().len()).max().unwrap();
    // Two windows of two shards, and not all of them.
    let limit = 4 * (largest + 1024);
    assert!(tars.len() >= 6, "{tars:?}");
    let size = format!("{limit}B");
    let windows = ["--epochs", "3", "--shuffle", "window=2", "--knn-every", "0"];
    let small = [&windows[..], &["--cache-size", &size]].concat();
    succeed(&mut train(&fixture, &server, "remote", "s3://set/", &small));
    let named = fixture.path("named").to_str().unwrap().to_owned();
    succeed(&mut train(&fixture, &server, "local", &named, &windows));
    assert_eq!(fixture.metrics("remote"), fixture.metrics("local"));

    let requests = server.requests();
    for tar in &tars {
        let path = format!("GET /set/{tar}");
        let fetched = requests.iter().filter(|line| line.split(" bytes").next().unwrap().trim_end() == path);
        let fetched = fetched.count() + requests.iter().filter(|line| line.starts_with(&format!("{path} 0-"))).count();
        assert!(fetched <= 3, "{tar} was fetched {fetched} times: {requests:?}");
    }
    let kept = bytes_below(&fixture.path("cache/simsiam/shards"));
    assert!((1..=limit).contains(&kept), "{kept} bytes in a cache of {limit}");

    let whole = ["--epochs", "1", "--cache-size", &size];
    let refusal = train(&fixture, &server, "refused", "s3://set/", &whole).output().unwrap();
    assert!(!refusal.status.success());
    assert!(text(&refusal).contains("--shuffle window=N"), "{}", text(&refusal));
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes_below(&path) } else { fs::metadata(path).unwrap().len() }).sum()
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
fn folders_of_any_shape_train_and_say_what_their_labels_are() {
    let fixture = Fixture::new();
    let (server, root) = (Server::start(), fixture.path("photos"));
    fs::create_dir_all(root.join("2020")).unwrap();
    let images: Vec<_> = fs::read_dir(fixture.path("images/train")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for class in &images {
        let name = class.file_name().unwrap();
        fs::rename(class, root.join("2020").join(name)).unwrap();
    }
    let one = fs::read_dir(root.join("2020")).unwrap().next().unwrap().unwrap().path();
    let loose = fs::read_dir(&one).unwrap().next().unwrap().unwrap().path();
    fs::copy(loose, root.join("loose.png")).unwrap();
    let photos = root.to_str().unwrap();
    // Neither the loose image nor the year says what the classes are.
    let mut command = train(&fixture, &server, "unclear", photos, &["--epochs", "1"]);
    let refusal = refused(&mut command);
    assert!(refusal.contains("kNN needs a label for every sample"), "{refusal}");
    assert!(refusal.contains("--labels folders takes the first folder"), "{refusal}");
    let plain = succeed(&mut train(&fixture, &server, "plain", photos, &["--epochs", "1", "--knn-every", "0", "--labels", "none"]));
    assert!(!plain.contains("warning") && !plain.contains("WARN"), "{plain}");

    let inside = root.join("2020").to_str().unwrap().to_owned();
    succeed(&mut train(&fixture, &server, "inside", &inside, &["--epochs", "1"]));
    assert!(fixture.metrics("inside").last().unwrap()["knn_top1"].is_number());
    let table = fixture.path("labels.csv");
    fs::write(&table, "file,label\nnothing.png,3\n").unwrap();
    let labels = ["--epochs", "1", "--labels", table.to_str().unwrap()];
    let refusal = refused(&mut train(&fixture, &server, "table", &inside, &labels));
    assert!(refusal.contains("none of its 1 files is one of the images"), "{refusal}");
}
