//! Views of several sizes, from the recipe to the features: SwAV's multi-crop.

use std::fs;

use serde_json::Value;

use crate::fixture::{Fixture, refused, simsiam, succeed};

const SWAV: [&str; 3] = ["--method", "swav", "--multi-crop"];

#[test]
fn a_multi_crop_run_goes_on_to_the_same_bits_and_is_evaluated_as_any() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &[&SWAV[..], &["--epochs", "2", "--limit", "48"]].concat()));
    let config = fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    assert!(config.contains("count = 6\nsize = 16\n"), "{config}");
    let metrics = fixture.metrics("run");
    assert!(metrics.iter().filter_map(|line| line["loss"].as_f64()).all(f64::is_finite));
    let weights = fixture.weights("run", 12);

    fs::remove_dir_all(fixture.path("run/checkpoints/step-000000012")).unwrap();
    let mut resume = simsiam();
    resume.arg("train").arg("--resume").arg(fixture.path("run")).args(["--workers", "2"]);
    let printed = succeed(&mut resume);
    assert!(printed.contains("resumed after step 6"), "{printed}");
    assert!(fixture.weights("run", 12) == weights);
    assert_eq!(fixture.metrics("run"), metrics);

    let mut eval = simsiam();
    eval.arg("eval").arg(fixture.path("run")).arg("--val-shards").arg(fixture.path("val"));
    eval.args(["--probe-epochs", "2", "--json"]);
    let report: Value = serde_json::from_str(succeed(&mut eval).lines().next().unwrap_or_default()).unwrap();
    assert_eq!((&report["arch"], &report["dim"]), (&"resnet8".into(), &64.into()));
    let mut embed = simsiam();
    embed.arg("embed").arg(fixture.path("run")).arg("--shards").arg(fixture.path("val"));
    let printed = succeed(embed.arg("--out").arg(fixture.path("features.npy")));
    assert!(printed.contains("50 embeddings of 64 values"), "{printed}");
}

#[test]
fn every_command_shows_the_groups() {
    let fixture = Fixture::new();
    let run = |arguments: &[&str]| succeed(simsiam().args(arguments).current_dir(fixture.path("")));
    let preview = ["preview", "--shards", "train", "--preset", "demo", "--out", "sheet.html", "--count", "2"];
    run(&[&preview[..], &SWAV].concat());
    let page = fs::read_to_string(fixture.path("sheet.html")).unwrap();
    assert!(page.contains("2 views of 32 &times; 32 and 6 of 16 &times; 16 each"), "{page}");
    assert_eq!(page.matches("alt=\"view 8\"").count(), 2);

    let printed = run(&["inspect", "train", "--recipe", "swav"]);
    assert!(
        printed.contains("views 1 to 2: 32 x 32") && printed.contains("views 3 to 8: 16 x 16"),
        "{printed}"
    );
    for stage in ["views", "batches"] {
        let bench = ["bench", "--shards", "train", "--recipe", "swav", "--stage", stage, "--seconds", "0.3"];
        let printed = run(&bench);
        assert!(printed.contains("2 views of 32 x 32 and 6 of 16 x 16 of each image"), "{printed}");
    }
    fs::write(fixture.path("swav.toml"), "method = \"swav\"\nmulti_crop = true\n").unwrap();
    let steps = ["bench", "--stage", "train", "--arch", "resnet8", "--batch-size", "4", "--seconds", "0.3"];
    assert!(run(&[&steps[..], &["--config", "swav.toml"]].concat()).contains("images/s"));
}

#[test]
fn groups_that_nothing_takes_are_refused_by_their_place() {
    let fixture = Fixture::new();
    let crop = "steps = [{ crop = { random_resized = { scale = [0.2, 1.0], ratio = [0.75, 1.33] } } }]";
    let recipe = format!("[[views]]\ncount = 2\n{crop}\n[[views]]\nsize = 24\n{crop}\n");
    fs::write(fixture.path("odd.toml"), recipe).unwrap();
    let odd = fixture.path("odd.toml");
    let odd = odd.to_str().unwrap();
    for (flags, reason) in [
        (&["--multi-crop"][..], "--multi-crop has no effect with simsiam; it is a setting of swav"),
        (
            &["--method", "byol", "--recipe", "swav"],
            "recipe.views[1]: 6 views of 16 x 16: byol takes 2 views of 32 x 32; views of several sizes are for swav",
        ),
        (
            &["--method", "swav", "--recipe", odd],
            "recipe.views[1].size: 24: must be one of [16, 32], which resnet8 is compiled for",
        ),
        (&["--method", "swav", "--multi-crop", "--recipe", "byol"], "cannot be used with"),
    ] {
        let printed = refused(&mut fixture.train("run", flags));
        assert!(printed.contains(reason), "{flags:?}: {printed}");
        assert!(!fixture.path("run").exists(), "{flags:?} wrote something");
    }
    let mut study = simsiam();
    study.args(["study", "methods", "--multi-crop", "--preset", "demo", "--out"]).arg(fixture.path("study"));
    let printed = refused(study.arg("--shards").arg(fixture.path("train")));
    assert!(printed.contains("--multi-crop is a row of `study methods`"), "{printed}");
}
