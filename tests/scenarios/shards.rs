//! Bad samples among good ones, and the commands that make and inspect shards.

use std::fs;

use serde_json::Value;
use simsiam_pipeline::shards::ShardWriter;

use crate::fixture::{Fixture, damage, refused, simsiam, succeed, text};

#[test]
fn a_bad_image_is_skipped_counted_and_named_until_the_budget_is_spent() {
    let fixture = Fixture::new();
    // The first member's header takes 512 bytes, and its image over 1,000.
    damage(&fixture.shard(), 512);
    let printed = succeed(&mut fixture.train("run", &["--epochs", "1"]));
    assert!(printed.contains("skipped shard ") && printed.contains("train-000.tar, sample 0"), "{printed}");
    assert!(printed.contains("1 unusable sample: see "), "{printed}");
    let list = fs::read_to_string(fixture.path("run/quarantine.json")).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["sample"], 0);
    assert_eq!(list[0]["offset"], 512);

    let named = |run: &str| {
        let list = fs::read(fixture.path(run).join("quarantine.json")).unwrap();
        serde_json::from_slice::<Value>(&list).unwrap().as_array().unwrap().len()
    };
    let printed = refused(&mut fixture.train("strict", &["--epochs", "1", "--on-bad-sample", "fail"]));
    assert!(printed.contains("train-000.tar, sample 0"), "{printed}");
    assert_eq!(named("strict"), 1);

    for shard in ["train/train-001.tar", "train/train-002.tar"] {
        damage(&fixture.path(shard), 512);
    }
    let printed = refused(&mut fixture.train("spent", &["--epochs", "1"]));
    assert!(printed.contains("3 of 200 samples are unusable, more than the budget of 2"), "{printed}");
    assert!(named("spent") >= 3);
}

#[test]
fn bad_images_that_only_knn_asks_for_are_named_too() {
    let fixture = Fixture::new();
    damage(&fixture.path("val/val-000.tar"), 512);
    let mut train = fixture.train("run", &["--epochs", "1", "--val-shards"]);
    let printed = succeed(train.arg(fixture.path("val")).args(["--knn-every", "1"]));
    assert!(printed.contains("1 unusable sample: see "), "{printed}");
    let list = fs::read_to_string(fixture.path("run/quarantine.json")).unwrap();
    assert!(list.contains("val-000.tar, sample 0"), "{list}");
}

#[test]
fn inspect_counts_and_verify_lists_the_bad() {
    let fixture = Fixture::new();
    let printed = succeed(simsiam().arg("inspect").arg(fixture.path("train")).arg("--verify"));
    assert!(printed.contains("samples   200 ("), "{printed}");
    damage(&fixture.shard(), 512);
    let output =
        simsiam().arg("inspect").arg(fixture.path("train")).args(["--verify", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["samples"], 200);
    assert_eq!(report["bad"].as_array().unwrap().len(), 1);

    // Shards that cannot be opened are listed, and the others looked at.
    for name in ["train/x.tar", "train/y.tar"] {
        std::fs::write(fixture.path(name), "not a tar archive".repeat(100)).unwrap();
    }
    let output = simsiam().arg("inspect").arg(fixture.path("train")).arg("--verify").output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for expected in ["samples   200 (", "broken    2 (shards", "x.tar: not a tar archive", "y.tar: not a tar"]
    {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
}

#[test]
fn what_no_sample_uses_is_named_by_inspect_and_said_by_train_each_time() {
    let fixture = Fixture::new();
    let image = fs::read(fixture.path("images/train/dots/00000.jpg")).unwrap();
    let mut writer = ShardWriter::create(&fixture.path("a.tar")).unwrap();
    for index in 0..16 {
        writer.append(&format!("{index}"), "jpg", &image, None).unwrap();
    }
    writer.append("phone", "heic", &image, Some(3)).unwrap();
    writer.finish().unwrap();
    for _ in 0..2 {
        let printed = succeed(simsiam().current_dir(fixture.path("")).args(["inspect", "a.tar"]));
        for expected in [
            "samples   16 (",
            "unused    images: 1 of a format that is not read\n  shard a.tar, member \"phone.heic\" (HEIC)\n",
            "unused    labels: 1 without an image of the same key in the shard\n  shard a.tar, member \"phone.cls\" (3)\n",
            "bad       0 (",
        ] {
            assert!(printed.contains(expected), "{expected} in {printed}");
        }
    }
    let mut train = simsiam();
    train.current_dir(fixture.path("")).args([
        "train",
        "--preset",
        "demo",
        "--batch-size",
        "8",
        "--epochs",
        "1",
    ]);
    let printed = succeed(train.args(["--shards", "a.tar", "--run-dir", "run"]));
    let line = "a.tar: 1 image is not used: 1 of a format that is not read (first: shard a.tar, member \"phone.heic\" (HEIC))";
    assert_eq!(printed.matches(line).count(), 1, "{printed}");
}

#[test]
fn pack_asks_for_what_is_meant_with_commands_that_work() {
    let fixture = Fixture::new();
    let pack = |source: &str, out: &str| {
        let mut command = simsiam();
        command.current_dir(fixture.path("")).args(["pack", source, out]);
        command
    };
    let printed = refused(&mut pack("images", "packed"));
    let expected = "error: images: its folders may be classes or something else (they are parts of a data set); --labels folders makes \
        the first folder the class, --labels parents the folder that contains the image; --labels none gives no labels; or pack one of its \
        folders by itself\n";
    assert_eq!(printed, expected);
    succeed(&mut pack("images/train", "packed/train"));
    let printed = succeed(pack("images/val", "packed/val").args(["--prefix", "val"]));
    assert!(printed.contains("packed 50 images of 10 classes"), "{printed}");
    let printed = succeed(&mut pack("images/val/dots", "flat"));
    assert!(printed.contains("packed 5 images without labels into 1 shard,"), "{printed}");
    let printed = succeed(pack("images", "all").args(["--labels", "none"]));
    assert!(printed.contains("packed 250 images without labels"), "{printed}");
    let file = fs::read_dir(fixture.path("images/val/dots")).unwrap().next().unwrap().unwrap().file_name();
    fs::write(fixture.path("labels.csv"), format!("file,label\nval/dots/{},7\n", file.display())).unwrap();
    let printed = succeed(pack("images", "listed").args(["--labels", "labels.csv"]));
    assert!(printed.contains("packed 250 images with numbers as labels"), "{printed}");
}

#[test]
fn pack_makes_shards_that_train_and_are_not_overwritten() {
    let fixture = Fixture::new();
    let printed = succeed(simsiam().arg("pack").arg(fixture.path("images/val")).arg(fixture.path("packed")));
    assert!(printed.contains("packed 50 images of 10 classes"), "{printed}");
    let printed = refused(simsiam().arg("pack").arg(fixture.path("images/val")).arg(fixture.path("packed")));
    assert!(printed.contains("already holds shards"), "{printed}");
    let mut train = simsiam();
    train.args(["train", "--preset", "demo", "--batch-size", "8", "--epochs", "1", "--shards"]);
    succeed(train.arg(fixture.path("packed")).arg("--run-dir").arg(fixture.path("run")));
    refused(simsiam().arg("pack").arg(fixture.path("nowhere")).arg(fixture.path("other")));
}
