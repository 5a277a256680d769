//! Bad input gives a clear error and exit code 2, and loses nothing.

use std::fs;
use std::process::Command;

use simsiam_pipeline::shards::ShardWriter;

use crate::fixture::{Fixture, refused, simsiam, succeed};

/// `simsiam train` with these arguments and nothing else.
fn train(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = simsiam();
    command.current_dir(fixture.path("")).args(["train", "--preset", "demo"]).args(arguments);
    command
}

#[test]
fn shards_that_cannot_work() {
    let fixture = Fixture::new();
    fs::write(fixture.path("text.tar"), "not a tar archive".repeat(100)).unwrap();
    let shard = fs::read(fixture.shard()).unwrap();
    fs::write(fixture.path("cut.tar"), &shard[..shard.len() / 2 + 100]).unwrap();
    let mut empty = ShardWriter::create(&fixture.path("empty.tar")).unwrap();
    empty.append("a", "txt", b"no image", None).unwrap();
    empty.finish().unwrap();
    for (shards, expected) in [
        ("nowhere.tar", "nowhere.tar"),
        ("nothing-*.tar", "nothing-*.tar"),
        ("text.tar", "text.tar: not a tar archive"),
        ("cut.tar", "cut.tar: truncated"),
        ("empty.tar", "empty.tar"),
    ] {
        let printed = refused(&mut train(&fixture, &["--shards", shards]));
        assert!(printed.contains("error: ") && printed.contains(expected), "{shards}: {printed}");
        assert!(!fixture.path("runs").exists(), "{shards}: nothing is left behind");
    }
}

#[test]
fn settings_that_cannot_work() {
    let fixture = Fixture::new();
    fs::write(fixture.path("config.toml"), "batch_sise = 8\n").unwrap();
    fs::write(fixture.path("jitter.toml"), "[recipe]\ncolor_jitter = { hues = 0.1 }\n").unwrap();
    fs::write(fixture.path("momentum.toml"), "momentum = 1.5\n").unwrap();
    for (arguments, expected) in [
        (
            &["--shards", "train", "--batch-size", "201"][..],
            "error: --batch-size 201: the batch size 201 is larger than the data",
        ),
        (
            &["--shards", "train", "--arch", "resnet50"],
            "resnet50 at 32 was not compiled; compiled are: resnet8 at 16 and 32; resnet20 at 16 and 32; resnet18-cifar-w16 at 16, 32 and 64",
        ),
        (&["--shards", "train", "--config", "config.toml"], "unknown field `batch_sise`"),
        (&["--shards", "train", "--epochs", "0"], "error: --epochs 0: must be at least 1"),
        (&["--shards", "train", "--epochs", "-1"], "error: --epochs -1: must be at least 1"),
        (&["--shards", "train", "--seed", "9223372036854775808"], "must be at most 9223372036854775807"),
        (&["--shards", "train", "--lr", "0.1"], "here it is --base-lr"),
        (&["--shards", "train", "--image-size", "64"], "one that --arch is compiled for"),
        (
            &["--shards", "train", "--config", "momentum.toml"],
            "configuration momentum.toml: momentum = 1.5: must be from 0",
        ),
        (&["--shards", "train", "--arch", "resnet99"], "resnet99"),
        (&["--shards", "train", "--workers", "none"], "neither `auto` nor a number from 1 to 1024"),
        (&["--shards", "train", "--workers", "9223372036854775808"], "nor a number from 1 to 1024"),
        (
            &["--shards", "train", "--alternate-steps", "9223372036854775808"],
            "neither `epoch` nor a positive",
        ),
        (&["--shards", "train", "--knn-temperature", "inf"], "--knn-temperature inf: must be above 0"),
        (&["--preset", "imagenet"], "no shards: --shards names them"),
        (&["--val-shards", "val"], "--val-shards without --shards: the demo has its own"),
        (
            &["--shards", "train", "--base-lr", "-1"],
            "error: --base-lr -1: must be a finite number, 0 or more",
        ),
        (
            &["--shards", "train", "--config", "jitter.toml"],
            "configuration jitter.toml: recipe: unknown field `hues`",
        ),
    ] {
        let mut command = simsiam();
        command.current_dir(fixture.path("")).arg("train");
        if arguments[0] != "--preset" {
            command.args(["--preset", "demo"]);
        }
        let printed = refused(command.args(arguments));
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
        assert!(!fixture.path("runs").exists(), "{arguments:?}: nothing is left behind");
    }
}

#[test]
fn the_preset_follows_the_images() {
    let fixture = Fixture::new();
    fs::write(fixture.path("size.toml"), "[recipe]\nsize = 40\n").unwrap();
    for (more, expected) in [
        (&[][..], "resnet18-cifar at 40 was not compiled"),
        (&["--arch", "resnet20"], "resnet20 at 40"),
        (&["--arch", "resnet50"], "resnet50 at 40"),
    ] {
        let mut command = simsiam();
        command.current_dir(fixture.path("")).args(["train", "--shards", "train", "--config", "size.toml"]);
        let printed = refused(command.args(more));
        assert!(printed.contains(expected), "{more:?}: {printed}");
    }
}

#[test]
fn a_folder_that_holds_a_run_is_left_alone() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    let before = fs::read(fixture.path("run/metrics.jsonl")).unwrap();
    let printed = refused(&mut fixture.train("run", &["--epochs", "1"]));
    assert!(printed.contains("already holds a run"), "{printed}");
    assert_eq!(fs::read(fixture.path("run/metrics.jsonl")).unwrap(), before);

    fs::create_dir(fixture.path("others")).unwrap();
    fs::write(fixture.path("others/metrics.jsonl"), "another program's").unwrap();
    let printed = refused(&mut fixture.train("others", &["--epochs", "1"]));
    assert!(printed.contains("holds the metrics.jsonl of something else"), "{printed}");
    assert_eq!(fs::read_to_string(fixture.path("others/metrics.jsonl")).unwrap(), "another program's");
}

#[test]
fn labels_are_needed_only_where_knn_is_asked_for() {
    let fixture = Fixture::new();
    let image = fs::read(fixture.path("images/train/dots/00000.jpg")).unwrap();
    let mut writer = ShardWriter::create(&fixture.path("plain.tar")).unwrap();
    for index in 0..16 {
        writer.append(&format!("{index}"), "jpg", &image, None).unwrap();
    }
    writer.finish().unwrap();
    let plain = ["--shards", "plain.tar", "--epochs", "1", "--batch-size", "8"];
    let printed = refused(&mut train(&fixture, &[&plain[..], &["--val-shards", "val"]].concat()));
    assert!(printed.contains("kNN needs labels, but no sample of plain.tar has one"), "{printed}");
    refused(&mut train(&fixture, &[&plain[..], &["--knn-every", "1"]].concat()));
    let printed = succeed(&mut train(&fixture, &plain));
    assert!(printed.contains("no kNN"), "{printed}");
}
