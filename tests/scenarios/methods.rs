//! The other methods, SimSiam's ablations, and the watch over collapse.

use crate::fixture::{Fixture, refused, succeed, text};

#[test]
fn every_method_trains_and_resumes_exactly() {
    let fixture = Fixture::new();
    for method in ["byol", "simclr", "mocov2", "swav"] {
        let queue: &[&str] = if method == "mocov2" { &["--queue", "40"] } else { &[] };
        let flags = [&["--method", method, "--epochs", "2", "--base-lr", "0.1"], queue].concat();
        succeed(&mut fixture.train(method, &flags));
        goes_on_exactly(&fixture, method);
    }
}

#[test]
fn ablations_with_state_of_their_own_resume_exactly() {
    let fixture = Fixture::new();
    for (run, flags) in [
        ("alternating", ["--alternate-steps", "10"]),
        ("epoch", ["--alternate-steps", "epoch"]),
        ("average", ["--target", "moving-average"]),
        ("four-views", ["--symmetry", "asymmetric-2x"]),
    ] {
        succeed(
            &mut fixture.train(run, &[&flags[..], &["--epochs", "2", "--projector-dim", "256"]].concat()),
        );
        goes_on_exactly(&fixture, run);
    }
}

/// A run of two epochs that lost its end ends with the same weights and metrics again.
fn goes_on_exactly(fixture: &Fixture, run: &str) {
    let (weights, metrics) = (fixture.weights(run, 50), fixture.metrics(run));
    std::fs::remove_dir_all(fixture.path(run).join("checkpoints/step-000000050")).unwrap();
    let mut command = crate::fixture::simsiam();
    let printed = succeed(command.arg("train").arg("--resume").arg(fixture.path(run)));
    assert!(printed.contains("resumed after step 25"), "{run}: {printed}");
    assert!(fixture.weights(run, 50) == weights, "{run}: other weights");
    assert_eq!(fixture.metrics(run), metrics, "{run}");
}

#[test]
fn ablations_change_what_they_say() {
    let fixture = Fixture::new();
    let saved = |run: &str, flags: &[&str]| {
        succeed(&mut fixture.train(run, &[flags, &["--epochs", "1", "--projector-dim", "256"]].concat()));
        (String::from_utf8_lossy(&fixture.weights(run, 25)).into_owned(), fixture.weights(run, 25))
    };
    let (names, weights) = saved("fixed", &["--predictor", "fixed-random"]);
    assert!(names.contains("predictor.0.weight"));
    let untrained = saved("fixed-too", &["--predictor", "fixed-random", "--base-lr", "0"]).1;
    assert!(tensor(&weights, "predictor.0.weight") == tensor(&untrained, "predictor.0.weight"));
    assert!(tensor(&weights, "projector.0.weight") != tensor(&untrained, "projector.0.weight"));
    assert!(!saved("none", &["--predictor", "none"]).0.contains("predictor"));
    assert!(!saved("bn-none", &["--mlp-bn", "none"]).0.contains("projector.1.running_mean"));
    assert!(saved("bn-all", &["--mlp-bn", "all"]).0.contains("predictor.4.running_mean"));
    let losses = |run: &str| fixture.metrics(run).iter().filter_map(|line| line["loss"].as_f64()).next();
    saved("cross-entropy", &["--similarity", "cross-entropy"]);
    assert!(losses("cross-entropy").unwrap() > 1.0, "a cross-entropy over 256 channels");
}

/// The bytes of one tensor of a safetensors file.
fn tensor(file: &[u8], name: &str) -> Vec<u8> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    tensors.tensor(name).unwrap().data().to_vec()
}

#[test]
fn combinations_that_make_no_sense_are_refused_with_the_reason() {
    let fixture = Fixture::new();
    for (flags, reason) in [
        (
            vec!["--method", "simclr", "--predictor", "none"],
            "--predictor has no effect with simclr; it is a setting of simsiam",
        ),
        (vec!["--method", "byol", "--stop-gradient", "false"], "--stop-gradient has no effect with byol"),
        (vec!["--method", "byol", "--projector-dim", "512"], "--projector-dim has no effect with byol"),
        (vec!["--method", "swav", "--predictor-lr", "decay"], "it is a setting of simsiam, byol"),
        (vec!["--method", "simclr", "--symmetry", "asymmetric"], "--symmetry has no effect with simclr"),
        (vec!["--temperature", "0.1"], "it is a setting of simclr, mocov2, swav"),
        (vec!["--method", "simclr", "--queue", "64"], "it is a setting of mocov2"),
        (vec!["--method", "mocov2", "--queue", "4"], "--queue 4: must be from a batch (8 keys)"),
        (vec!["--target-momentum", "0.9"], "nothing follows anything"),
        (vec!["--predictor", "none", "--predictor-lr", "decay"], "without a predictor"),
        (vec!["--predictor", "fixed-random", "--predictor-lr", "decay"], "which has no rate"),
        (vec!["--predictor", "none", "--mlp-bn", "all"], "there is no predictor"),
        (vec!["--stop-gradient", "false", "--alternate-steps", "5"], "computed beforehand"),
        (vec!["--target", "moving-average", "--alternate-steps", "5"], "each replaces the targets"),
        (vec!["--projector-dim", "100"], "--projector-dim 100: must be one of [256,"),
        (vec!["--alternate-steps", "0"], "neither `epoch` nor a positive number"),
        (vec!["--method", "moco"], "invalid value 'moco'"),
        (vec!["--method-setting", "lambda=1"], "simsiam has no settings of its own"),
        (vec!["--method", "barlow-twins", "--method-setting", "lamda=1"], "it has: lambda (what the"),
        (vec!["--method", "barlow-twins", "--method-setting", "lambda=-1"], "lambda=-1: must be from 0 to 1"),
        (vec!["--method", "vicreg", "--method-setting", "variance"], "must be KEY=NUMBER"),
        (vec!["--method", "barlow-twins", "--mlp-bn", "hidden"], "--mlp-bn must be default"),
    ] {
        let printed = refused(&mut fixture.train("run", &flags));
        assert!(printed.contains(reason), "{flags:?}: {printed}");
        assert!(!fixture.path("run").exists(), "{flags:?} wrote something");
    }
}

#[test]
fn a_collapse_is_announced_and_can_stop_the_run() {
    let fixture = Fixture::new();
    let flags = ["--stop-gradient", "false", "--mlp-bn", "hidden", "--epochs", "8", "--base-lr", "2"];
    let output = fixture.train("run", &[&flags[..], &["--on-collapse", "stop"]].concat()).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("collapsed: at step")
            && printed.contains("what usually helps: `--stop-gradient true` (Chen & He 2021, section 4.1)")
            && printed.contains("stopped after the collapse"),
        "{printed}"
    );
    let last = fixture.metrics("run").pop().unwrap();
    assert_eq!(last["health"], "collapsed");
    let step = last["step"].as_u64().unwrap();
    assert!(step < 200 && !fixture.weights("run", step).is_empty(), "{step}");
}

#[test]
fn a_study_runs_its_rows_reports_and_goes_on() {
    let fixture = Fixture::new();
    let study = || {
        let mut command = crate::fixture::simsiam();
        command.arg("study").arg("methods").arg("--shards").arg(fixture.path("train"));
        command.arg("--out").arg(fixture.path("study"));
        command.args(["--preset", "demo", "--batch-size", "16", "--epochs", "1", "--log-every", "2"]);
        command
    };
    let printed = succeed(&mut study());
    assert!(printed.contains("# run 9 of 9: swav with multi-crop, seed 0"), "{printed}");
    let more = succeed(study().args(["--only", "byol", "--seeds", "2"]));
    assert!(more.contains("# run 2 of 2: byol, seed 1"), "{more}");
    let printed = refused(study().args(["--only", "dino"]));
    assert!(
        printed.contains("--only dino: methods has barlow-twins, byol, byol with its own recipe, methods,"),
        "{printed}"
    );
    let report = std::fs::read_to_string(fixture.path("study/report.md")).unwrap();
    for row in [
        "| simsiam |",
        "| simclr |",
        "| mocov2 |",
        "| byol |",
        "| swav |",
        "| barlow-twins |",
        "| vicreg |",
        "| byol with its own recipe |",
        "| swav with multi-crop |",
    ] {
        assert!(report.contains(row), "{row} in {report}");
    }
    let picture = std::fs::read_to_string(fixture.path("study/methods.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("kNN top-1"));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture.path("study/report.json")).unwrap()).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), 9);
    let byol = json["rows"].as_array().unwrap().iter().find(|row| row["name"] == "byol").unwrap();
    assert_eq!(byol["runs"].as_array().unwrap().len(), 2);
    assert!(byol["runs"][1]["knn"][1][1].as_f64().unwrap() > 0.0);

    let again = succeed(&mut study());
    assert!(!again.contains("images to train on"), "nothing is left to do: {again}");
    let again = succeed(study().args(["--workers", "2"]));
    assert!(!again.contains("images to train on"), "workers make no other study: {again}");
    // The rate is the preset's, but would be every method's.
    for (other, named) in
        [(["--epochs", "2"], "epochs was 1, now 2"), (["--base-lr", "0.25"], "base_lr was unset, now 0.25")]
    {
        let printed = refused(study().args(other));
        assert!(printed.contains("a study with other settings") && printed.contains(named), "{printed}");
    }
}
