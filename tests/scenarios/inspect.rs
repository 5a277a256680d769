//! `simsiam inspect --statistics` and `--duplicates` on drawn images.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::flip_horizontal;
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use simsiam_pipeline::shards::ShardWriter;
use tempfile::TempDir;

use crate::fixture::{damage, refused, simsiam, succeed, text};

/// Training images in `train.tar`; their classes are 0 and 1 in turn.
const IMAGES: u32 = 40;

/// 32 x 32 pixels of rectangles that only this number gives.
fn picture(number: u32) -> RgbImage {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut image = RgbImage::from_pixel(32, 32, Rgb([next(256) as u8, next(256) as u8, next(256) as u8]));
    for _ in 0..12 {
        let color = Rgb([next(256) as u8, next(256) as u8, next(256) as u8]);
        let (left, top, width, height) = (next(28), next(28), 4 + next(12), 4 + next(12));
        for y in top..(top + height).min(32) {
            (left..(left + width).min(32)).for_each(|x| image.put_pixel(x, y, color));
        }
    }
    image
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut file, 80)).unwrap();
    file
}

/// `train.tar`; `val.tar` with four new images, and with a copy, a new compression and a mirror image of training images; and
/// `run`, trained on the former for an epoch.
struct Drawn(TempDir);

impl Drawn {
    fn new() -> Self {
        let drawn = Self(tempfile::tempdir().unwrap());
        let train =
            (0..IMAGES).map(|number| (format!("t{number}"), "png", png(&picture(number)), number % 2));
        drawn.write("train.tar", train);
        let new = (100..104).map(|number| (format!("v{number}"), "png", png(&picture(number)), 0));
        let planted = [
            ("copy", "png", png(&picture(3)), 1),
            ("compressed", "jpg", jpeg(&picture(8)), 1),
            ("mirrored", "png", png(&flip_horizontal(&picture(21))), 1),
        ];
        let planted = planted.map(|(key, extension, bytes, label)| (key.to_owned(), extension, bytes, label));
        drawn.write("val.tar", new.chain(planted));
        drawn
    }

    fn trained() -> Self {
        let drawn = Self::new();
        let flags = "--preset demo --batch-size 8 --epochs 1 --knn-every 0 --shards train.tar --run-dir run";
        succeed(drawn.simsiam("train").args(flags.split(' ')));
        drawn
    }

    fn write(&self, name: &str, images: impl Iterator<Item = (String, &'static str, Vec<u8>, u32)>) {
        let mut writer = ShardWriter::create(&self.path(name)).unwrap();
        for (key, extension, bytes, label) in images {
            writer.append(&key, extension, &bytes, Some(label)).unwrap();
        }
        writer.finish().unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn simsiam(&self, command: &str) -> Command {
        let mut simsiam = simsiam();
        simsiam.current_dir(self.0.path()).arg(command);
        simsiam
    }

    fn inspect(&self, arguments: &str) -> Command {
        let mut command = self.simsiam("inspect");
        command.args(arguments.split(' '));
        command
    }
}

/// Key and partner of each pair in a list of a report.
fn pairs(list: &Value) -> Vec<(String, String)> {
    let key = |image: &Value| image["at"]["key"].as_str().unwrap().to_owned();
    let pairs = list["pairs"].as_array().unwrap().iter();
    pairs.map(|pair| (key(&pair["images"][0]), key(&pair["images"][1]))).collect()
}

#[test]
fn statistics_are_a_recipe_and_nothing_else() {
    let drawn = Drawn::trained();
    let output = drawn.inspect("train.tar --statistics").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output));
    let toml: toml::Table = toml::from_str(std::str::from_utf8(&output.stdout).unwrap()).unwrap();
    assert_eq!(toml.keys().collect::<Vec<_>>(), ["recipe"]);

    let values: Vec<f64> = (0..IMAGES).flat_map(|number| picture(number).into_raw()).map(f64::from).collect();
    for channel in 0..3 {
        let values: Vec<f64> = values.iter().skip(channel).step_by(3).map(|value| value / 255.0).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        for (name, expected) in [("mean", mean), ("std", variance.sqrt())] {
            let found = toml["recipe"][name][channel].as_float().unwrap();
            assert!(
                (found - expected).abs() < 0.000_051,
                "{name} of channel {channel}: {found}, not {expected}"
            );
        }
    }

    fs::write(drawn.path("recipe.toml"), output.stdout).unwrap();
    let flags =
        "--preset demo --batch-size 8 --epochs 1 --knn-every 0 --shards train.tar --run-dir normalised";
    succeed(drawn.simsiam("train").args(flags.split(' ')).args(["--config", "recipe.toml"]));
    let config = fs::read_to_string(drawn.path("normalised/config.toml")).unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    let read = config["recipe"]["mean"][0].as_float().unwrap() as f32;
    assert_eq!(read, toml["recipe"]["mean"][0].as_float().unwrap() as f32);
}

#[test]
fn statistics_leave_out_what_is_bad_and_name_it() {
    let drawn = Drawn::new();
    let json = |shards: &str| drawn.inspect(&format!("{shards} --statistics --json")).output().unwrap();
    drawn.write(
        "others.tar",
        (1..IMAGES).map(|number| (format!("{number}"), "png", png(&picture(number)), 0)),
    );
    damage(&drawn.path("train.tar"), 600);
    let output = json("train.tar");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let (report, others): (Value, Value) = (
        serde_json::from_slice(&output.stdout).unwrap(),
        serde_json::from_slice(&json("others.tar").stdout).unwrap(),
    );
    assert_eq!(report["bad"][0]["sample"], 0);
    assert_eq!(
        (&report["images"], &report["mean"], &report["std"]),
        (&39.into(), &others["mean"], &others["std"])
    );
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(
        warned.contains("train.tar, sample 0 \"t0\"") && warned.contains("left out: 1 sample of 40, "),
        "{warned}"
    );

    let gray = png(&RgbImage::from_pixel(8, 8, Rgb([9, 9, 9])));
    drawn.write("gray.tar", [("gray".to_owned(), "png", gray, 0)].into_iter());
    let printed = refused(&mut drawn.inspect("gray.tar --statistics"));
    assert!(printed.contains("red has the same value in every pixel"), "{printed}");
    drawn.write("none.tar", [("none".to_owned(), "jpg", b"\xff\xd8\xff, cut".to_vec(), 0)].into_iter());
    let printed = refused(&mut drawn.inspect("none.tar --statistics --preset cifar10"));
    assert!(printed.contains("no sample can be used"), "{printed}");
}

#[test]
fn leaks_are_found_by_a_run_by_weights_and_by_saved_features() {
    let drawn = Drawn::trained();
    succeed(drawn.simsiam("export").args(["run", "--format", "torch", "--out", "encoder.safetensors"]));
    for (shards, out) in [("train.tar", "train.npy"), ("val.tar", "val.safetensors")] {
        succeed(drawn.simsiam("embed").args(["run", "--shards", shards, "--out", out]));
    }
    let json = |origin: &str| -> Value {
        let arguments =
            format!("train.tar --val-shards val.tar --threshold 0.9 --json --duplicates {origin}");
        let output = drawn.inspect(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let report = json("run");
    let mut leaks = pairs(&report["leaks"]);
    assert_eq!(leaks[0], ("copy".into(), "t3".into()), "copies come first");
    leaks.sort_unstable();
    let expected = [("compressed", "t8"), ("copy", "t3"), ("mirrored", "t21")];
    assert_eq!(leaks, expected.map(|(val, train)| (val.to_owned(), train.to_owned())));
    for pair in report["leaks"]["pairs"].as_array().unwrap() {
        let key = pair["images"][0]["at"]["key"].as_str().unwrap();
        assert_eq!(
            (&pair["same_file"], &pair["mirrored"]),
            (&(key == "copy").into(), &(key == "mirrored").into())
        );
    }
    assert_eq!((&report["train"]["paired"], &report["val"]["paired"]), (&0.into(), &0.into()));
    assert_eq!(json("encoder.safetensors"), report);
    assert_eq!(json("train.npy --val-features val.safetensors"), report);
    // A choice is of a file of all features, and of one of the same choice.
    succeed(drawn.simsiam("embed").args([
        "run",
        "--shards",
        "train.tar",
        "--limit",
        "10",
        "--out",
        "ten.npy",
    ]));
    for features in ["train.npy", "ten.npy"] {
        let output = drawn.inspect(&format!("train.tar --limit 10 --json --duplicates {features}")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["train"]["images"], 10);
    }
}

#[test]
fn a_person_reads_a_table_and_sees_the_pairs() {
    let drawn = Drawn::trained();
    let copies = |numbers: &[u32]| -> Vec<_> {
        numbers
            .iter()
            .enumerate()
            .map(|(at, &number)| (format!("c{at}"), "png", png(&picture(number)), 0))
            .collect()
    };
    drawn.write("copies.tar", copies(&[5, 5, 5, 7, 60, 7]).into_iter());
    let flags = "copies.tar --val-shards val.tar --duplicates run --top 2 --contact-sheet sheet.png";
    let printed = succeed(&mut drawn.inspect(flags));
    for part in [
        "features  step-000000005 of run, 64 values; similarity from 0.95 on\n",
        "leaks     0 of 7 validation images look like a training image; 0 pairs: 0 of the same file, 0 nearly the same\n",
        "train     5 of 6 images have a duplicate, in 2 groups, the largest of 3; 4 pairs: 4 of the same file, 0 nearly the same\n",
        "    1    1.0000    1.00  same file  copies.tar 0 \"c0\" 0  copies.tar 1 \"c1\" 0\n",
        "  and 2 more, which --json lists\n",
        "val       0 of 7 images have a duplicate; ",
    ] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    let sheet = image::open(drawn.path("sheet.png")).unwrap().into_rgb8();
    let shown = picture(5);
    let tile = |(left, top): (u32, u32)| {
        (0..32).all(|y| (0..32).all(|x| sheet.get_pixel(left + 5 * x, top + 5 * y) == shown.get_pixel(x, y)))
    };
    let places =
        |from: u32| (from..sheet.height() - 160).flat_map(|y| (0..sheet.width() - 160).map(move |x| (x, y)));
    let left = places(0).find(|&place| tile(place)).expect("the first image is drawn five times as large");
    assert!(tile((left.0 + 168, left.1)), "its copy beside it");

    let printed = succeed(&mut drawn.inspect("copies.tar --val-shards train.tar --duplicates run --top 1"));
    assert!(
        printed.contains("leaks     2 of 40 validation images look like a training image; 5 pairs"),
        "{printed}"
    );
    let labels_differ =
        printed.lines().any(|line| line.contains("\"t5\" 1") && line.ends_with("  labels differ"));
    assert!(labels_differ, "{printed}");
}

#[test]
fn unusable_images_are_compared_with_none() {
    let drawn = Drawn::trained();
    damage(&drawn.path("val.tar"), 600);
    for origin in ["run", "run/checkpoints/step-000000005"] {
        let arguments = format!("val.tar --duplicates {origin} --json");
        let output = drawn.inspect(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["train"]["images"], 6);
        let warned = String::from_utf8(output.stderr).unwrap();
        assert!(
            warned.contains("sample 0 \"v100\"") && warned.contains("cannot be used: 1 sample"),
            "{warned}"
        );
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let drawn = Drawn::trained();
    fs::write(drawn.path("text.txt"), "no weights").unwrap();
    fs::create_dir(drawn.path("empty")).unwrap();
    succeed(drawn.simsiam("embed").args(["run", "--out", "train.npy"]));
    for (arguments, expected) in [
        ("--duplicates nowhere", "--duplicates nowhere: there is no such run or file"),
        ("--duplicates empty", "empty holds no run"),
        ("--duplicates text.txt", "text.txt: not a safetensors file"),
        ("--duplicates run --contact-sheet sheet.jpg", "--contact-sheet sheet.jpg: must end in .png"),
        ("--duplicates run --threshold 1.5", "--threshold 1.5: must be a number above 0, at most 1"),
        (
            "--duplicates run --val-shards val.tar --val-features train.npy",
            "run is an encoder, which makes them",
        ),
        ("--duplicates train.npy --val-shards val.tar", "--val-features names the file with theirs"),
        (
            "--duplicates train.npy --val-shards val.tar --val-features train.npy",
            "row 0 is that of \"t0\", and not of shard val.tar, sample 0 \"v100\": these are the features of other shards",
        ),
        ("--top 3", "--duplicates"),
        ("--preset cifar10", "--statistics"),
        ("--verify --statistics", "cannot be used with"),
    ] {
        let printed = refused(&mut drawn.inspect(&format!("train.tar {arguments}")));
        assert!(printed.contains(expected), "{arguments}: {printed}");
    }
}
