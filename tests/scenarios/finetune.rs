//! `simsiam finetune`, and encoders in files instead of runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::fixture::{Fixture, refused, simsiam, succeed};

fn trained() -> Fixture {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    fixture
}

fn finetune(fixture: &Fixture, of: &str, more: &[&str]) -> Command {
    let mut command = simsiam();
    // Quiet, for on a busy machine there is progress to tell of, each time another.
    command
        .args(["--quiet", "finetune"])
        .arg(fixture.path(of))
        .args(["--epochs", "2", "--batch-size", "16"])
        .args(more);
    command
}

fn with_val(mut command: Command, fixture: &Fixture) -> Command {
    command.arg("--val-shards").arg(fixture.path("val"));
    command
}

fn exported(fixture: &Fixture) -> PathBuf {
    let file = fixture.path("encoder.safetensors");
    let mut command = simsiam();
    command.arg("export").arg(fixture.path("run")).args(["--format", "torch", "--metadata", "commit=abc"]);
    succeed(command.arg("--out").arg(&file));
    file
}

#[test]
fn a_classifier_learns_from_the_encoder_and_from_scratch_and_both_are_reported() {
    let fixture = trained();
    let flags = ["--labels", "50%", "--from", "encoder,scratch", "--seeds", "2"];
    let run = || succeed(&mut with_val(finetune(&fixture, "run", &flags), &fixture));
    let printed = run();
    assert!(printed.contains("from encoder  100 labels (50 %)"), "{printed}");
    assert!(printed.contains("from scratch  100 labels (50 %)"), "{printed}");
    assert!(printed.contains("the encoder is worth "), "{printed}");
    assert_eq!(run(), printed, "the same again");

    let file = fixture.path("run/finetune/step-000000025-from-encoder-0.5-labels.json");
    let report: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(report["top1"].as_array().unwrap().len(), 2);
    assert_eq!((&report["images"], &report["recipe"]["epochs"]), (&100.into(), &2.into()));

    let all = ["--labels", "100%", "--seeds", "1", "--json"];
    let printed = succeed(&mut with_val(finetune(&fixture, "run", &all), &fixture));
    let report: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!((&report["images"], &report["from"]), (&200.into(), &"encoder".into()));
}

#[test]
fn an_encoder_in_a_file_is_judged_as_the_run_is() {
    let fixture = trained();
    let file = exported(&fixture);
    let eval = |of: &PathBuf| {
        let mut command = simsiam();
        command.arg("eval").arg(of).args(["--only", "knn", "--knn-k", "20", "--json"]);
        command.arg("--train-shards").arg(fixture.path("train")).arg("--val-shards").arg(fixture.path("val"));
        let printed = succeed(&mut command);
        let report: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
        report["scores"].clone()
    };
    assert_eq!(eval(&file), eval(&fixture.path("run")));
    let bytes = fs::read(&file).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!((&metadata["commit"][..], &metadata["steps"][..]), ("abc", "25"));
    assert!(metadata.contains_key("data"));
    let config = &metadata["config"];
    assert!(config.contains("arch = \"resnet8\"") && !config.contains("train"), "{config}");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let fixture = trained();
    exported(&fixture);
    for (of, flags, reason) in [
        ("run", vec!["--labels", "0%"], "must be a percentage above 0"),
        ("run", vec!["--labels", "10"], "must be a percentage above 0"),
        (
            "run",
            vec!["--labels", "100%", "--weight-decay", "-1"],
            "--weight-decay -1: must be a finite number, 0 or more",
        ),
        ("encoder.safetensors", vec!["--labels", "100%"], "has no shards: --train-shards names some"),
        ("encoder.safetensors", vec!["--labels", "100%", "--checkpoint", "best"], "nothing to choose"),
    ] {
        let printed = refused(&mut finetune(&fixture, of, &flags));
        assert!(printed.contains(reason), "{flags:?}: {printed}");
        assert!(!fixture.path("run/finetune").exists());
    }
}
