//! `simsiam preview` and `inspect --recipe`: what a recipe does, to be looked at.

use std::fs;

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn a_run_and_its_shards_show_the_same_step() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    let preview = |arguments: &[&str], out: &str| {
        let mut command = simsiam();
        command.arg("preview").args(arguments).args(["--count", "3", "--out"]).arg(fixture.path(out));
        let printed = succeed(command.current_dir(fixture.path("")));
        (printed, fs::read(fixture.path(out)).unwrap())
    };
    let (printed, of_run) = preview(&["run", "--step", "7"], "run.html");
    assert!(printed.contains("3 images of step 7 (epoch 1) in "), "{printed}");
    let shards = ["--shards", "train", "--preset", "demo", "--batch-size", "8", "--knn-every", "0"];
    let (_, of_shards) = preview(&[&shards[..], &["--step", "7"]].concat(), "shards.html");
    let text = String::from_utf8(of_run).unwrap();
    let source = |from: &str| from.split('"').next().unwrap_or_default().to_owned();
    let views = |text: &str| -> Vec<String> { text.split("src=\"").skip(1).map(source).collect() };
    assert_eq!(views(&text).len(), 9, "three images, two views of each");
    assert!(views(&text) == views(&String::from_utf8(of_shards).unwrap()));
    assert!(!text.contains("http"), "the page needs no network");

    let (_, second) = preview(&["run", "--epoch", "1"], "first.html");
    assert!(views(&String::from_utf8(second).unwrap()) != views(&text), "another step");
    let (_, other) = preview(&["run", "--step", "7", "--recipe", "byol"], "byol.html");
    assert!(views(&String::from_utf8(other).unwrap()) != views(&text), "another recipe");
    let (_, picture) = preview(&["--shards", "train"], "sheet.png");
    assert!(image::load_from_memory(&picture).unwrap().width() > 3 * 224);
}

#[test]
fn an_epoch_begins_at_the_step_of_training() {
    let fixture = Fixture::new();
    let preview = |more: &[&str]| {
        let mut command = simsiam();
        command.args([
            "preview",
            "--shards",
            "train",
            "--preset",
            "demo",
            "--out",
            "sheet.png",
            "--count",
            "4",
        ]);
        succeed(command.args(more).current_dir(fixture.path("")))
    };
    let batch = ["--batch-size", "40"];
    let printed = preview(&[&["--epoch", "3"], &batch[..]].concat());
    assert!(printed.contains("4 images of step 9 (epoch 3)"), "{printed}");
    let first = fs::read(fixture.path("sheet.png")).unwrap();
    preview(&[&["--step", "9"], &batch[..]].concat());
    assert_eq!(fs::read(fixture.path("sheet.png")).unwrap(), first);
    let printed = preview(&["--epoch", "3"]);
    assert!(printed.contains("4 images of step 5 (epoch 3)"), "of the preset's batches: {printed}");
}

#[test]
fn a_folder_of_fewer_images_than_are_shown_by_default_is_shown_whole() {
    let fixture = Fixture::new();
    let few = fixture.path("few");
    fs::create_dir(&few).unwrap();
    for number in 0..3u8 {
        image::RgbImage::from_pixel(40, 30, image::Rgb([90 * number, 60, 200]))
            .save(few.join(format!("{number}.png")))
            .unwrap();
    }
    let sheet = fixture.path("few.png");
    let printed = succeed(simsiam().arg("preview").arg("--shards").arg(&few).arg("--out").arg(&sheet));
    assert!(printed.contains("3 images of step 1") && sheet.exists(), "{printed}");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let fixture = Fixture::new();
    fs::write(fixture.path("views.toml"), "views = [{ steps = [{ invert = {} }] }]\n").unwrap();
    fs::write(fixture.path("broken.toml"), "views = [{ steps = 3 }]\n").unwrap();
    for (arguments, expected) in [
        ("preview --out x.html", "name a run, or images with --shards"),
        ("preview --shards train --out x.pdf", "--out x.pdf: must end with .html or .png"),
        (
            "preview --shards train --preset demo --epochs 1 --step 900 --out x.png",
            "step 900 is beyond the last",
        ),
        ("preview no-run --out x.png", "no-run"),
        (
            "preview --shards train --recipe views.toml --out x.png",
            "recipe.views[0].steps: invert: must be a crop first, and no other",
        ),
        ("train --shards train --recipe broken.toml --run-dir x", "--recipe: "),
        (
            "train --shards train --recipe dino --run-dir x",
            "expected byol, swav, or the path of a .toml file",
        ),
        ("inspect train --preset cifar10", "--preset goes with --statistics or --recipe"),
    ] {
        let printed = refused(simsiam().args(arguments.split(' ')).current_dir(fixture.path("")));
        assert!(printed.contains(expected), "{arguments}: {printed}");
        assert!(!fixture.path("x").exists());
    }
}

#[test]
fn views_of_their_own_train_and_are_measured() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1", "--recipe", "byol", "--method", "byol"]));
    let config = fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    assert_eq!(config.matches("[[recipe.views]]").count(), 2, "{config}");
    let again = succeed(simsiam().args(["train", "--epochs", "2", "--resume"]).arg(fixture.path("run")));
    assert!(again.contains("epoch 2/2"), "a saved recipe is read back: {again}");

    let mut inspect = simsiam();
    let printed = succeed(inspect.arg("inspect").arg(fixture.path("train")).args(["--recipe", "byol"]));
    assert!(printed.contains("view 2") && printed.contains("solarize"), "{printed}");
}
