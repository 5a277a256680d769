//! The same images from a folder, a zip, tars, a web server and a bucket: the same run.

#[cfg(feature = "remote")]
mod remote;

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::pack::{PackOptions, PackOrder, pack};
use simsiam_pipeline::shards::OpenOptions;

use crate::fixture::{Fixture, refused, simsiam, succeed, text};
use crate::interruption::{resume, spawn, wait_for};

/// The training images as tars in the order of names, eight of them or so, with their indexes; their names.
fn tars(fixture: &Fixture) -> Vec<String> {
    let out = fixture.path("named");
    let options = PackOptions { order: PackOrder::Source, shard_bytes: 60_000, ..PackOptions::default() };
    let report = pack(fixture.path("images/train").to_str().unwrap(), &out, &options, &mut |_| ()).unwrap();
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

/// `train` on `shards`, with a cache of its own.
fn train(fixture: &Fixture, run: &str, shards: &str, more: &[&str]) -> Command {
    let mut command = simsiam();
    let settings = ["--preset", "demo", "--batch-size", "8", "--log-every", "1", "--knn-every", "1"];
    command.arg("train").args(["--shards", shards]).args(settings).args(more);
    command.arg("--run-dir").arg(fixture.path(run)).env("XDG_CACHE_HOME", fixture.path("cache"));
    command
}

#[test]
fn every_source_gives_the_same_losses_and_accuracies() {
    let fixture = Fixture::new();
    tars(&fixture);
    let sources = [
        ("tars", fixture.path("named").to_str().unwrap().to_owned()),
        ("folder", fixture.path("images/train").to_str().unwrap().to_owned()),
        ("zip", zip(&fixture)),
    ];
    for (run, shards) in &sources {
        succeed(&mut train(&fixture, run, shards, &["--epochs", "1"]));
        assert_eq!(fixture.metrics(run), fixture.metrics("tars"), "{run}");
    }
    let steps = 180 / 8;
    assert!(sources.iter().all(|(run, _)| fixture.weights(run, steps) == fixture.weights("tars", steps)));
    assert!(fixture.metrics("tars").last().unwrap()["knn_top1"].is_number());
}

#[test]
fn a_run_killed_on_a_folder_goes_on_from_tars_and_a_zip() {
    let fixture = Fixture::new();
    tars(&fixture);
    let (named, zip) = (fixture.path("named").to_str().unwrap().to_owned(), zip(&fixture));
    let folder = fixture.path("images/train").to_str().unwrap().to_owned();
    let more = ["--epochs", "2", "--checkpoint-every", "7"];
    succeed(&mut train(&fixture, "whole", &folder, &more));
    let mut child = spawn(&mut train(&fixture, "killed", &folder, &more));
    for (step, shards) in [(7, &named), (21, &zip)] {
        wait_for(&fixture.path(&format!("killed/checkpoints/step-{step:09}")), &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
        child = spawn(resume(&fixture, "killed").args(["--shards", shards]));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
    let other = refused(resume(&fixture, "killed").arg("--shards").arg(fixture.path("images/val")));
    assert!(other.contains("the training shards are not those that it began with"), "{other}");
}

#[test]
fn folders_of_any_shape_train_and_say_what_their_labels_are() {
    let fixture = Fixture::new();
    let root = fixture.path("photos");
    fs::create_dir_all(root.join("2020")).unwrap();
    let images: Vec<_> =
        fs::read_dir(fixture.path("images/train")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for class in &images {
        let name = class.file_name().unwrap();
        fs::rename(class, root.join("2020").join(name)).unwrap();
    }
    let one = fs::read_dir(root.join("2020")).unwrap().next().unwrap().unwrap().path();
    let loose = fs::read_dir(&one).unwrap().next().unwrap().unwrap().path();
    fs::copy(loose, root.join("loose.png")).unwrap();
    let photos = root.to_str().unwrap();
    // Neither the loose image nor the year says what the classes are.
    let mut command = train(&fixture, "unclear", photos, &["--epochs", "1"]);
    let refusal = refused(&mut command);
    assert!(refusal.contains("or a label for every sample of"), "{refusal}");
    assert!(refusal.contains("--labels folders makes the first folder"), "{refusal}");
    let plain = succeed(&mut train(
        &fixture,
        "plain",
        photos,
        &["--epochs", "1", "--knn-every", "0", "--labels", "none"],
    ));
    assert!(!plain.contains("warning") && !plain.contains("WARN"), "{plain}");

    let inside = root.join("2020").to_str().unwrap().to_owned();
    succeed(&mut train(&fixture, "inside", &inside, &["--epochs", "1"]));
    assert!(fixture.metrics("inside").last().unwrap()["knn_top1"].is_number());
    let table = fixture.path("labels.csv");
    fs::write(&table, "file,label\nnothing.png,3\n").unwrap();
    let labels = ["--epochs", "1", "--labels", table.to_str().unwrap()];
    let refusal = refused(&mut train(&fixture, "table", &inside, &labels));
    assert!(refusal.contains("none of its 1 files is one of the images"), "{refusal}");
}
