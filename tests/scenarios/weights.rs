//! Weights that leave a run and come back, and those of others.

use std::process::Command;

use super::fixture::{Fixture, refused, simsiam, succeed};

/// A run of a few steps, so that no weight is at its initial value.
fn trained() -> Fixture {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    fixture
}

#[test]
fn an_export_that_is_imported_gives_the_same_features_and_can_be_trained_on() {
    let fixture = Fixture::new();
    let path = |name: &str| fixture.path(name);
    // Not the preset's: the file says how images are normalised.
    std::fs::write(path("own.toml"), "[recipe]\nmean = [0.4, 0.5, 0.6]\nstd = [0.3, 0.3, 0.3]\n").unwrap();
    succeed(&mut fixture.train("run", &["--epochs", "1", "--config", path("own.toml").to_str().unwrap()]));
    let export = |run: &str, out: &str| {
        let mut command = simsiam();
        succeed(command.arg("export").arg(path(run)).args(["--format", "torch", "--out"]).arg(path(out)))
    };
    let embed = |run: &str, out: &str| {
        let mut command = simsiam();
        command.arg("embed").arg(path(run)).arg("--shards").arg(path("val")).arg("--out").arg(path(out));
        succeed(&mut command);
        std::fs::read(path(out)).unwrap()
    };
    let printed = export("run", "a.safetensors");
    assert!(printed.contains("the resnet8 encoder of step-000000025, "), "{printed}");

    let mut import = simsiam();
    import.arg("import").arg(path("a.safetensors")).arg("--run-dir").arg(path("imported"));
    import.arg("--shards").arg(path("train")).args(["--epochs", "1"]);
    let printed = succeed(&mut import);
    assert!(printed.contains("batch size 180, all images"), "{printed}");
    assert!(printed.contains("took the resnet8 encoder and no heads"), "{printed}");

    export("imported", "b.safetensors");
    let tensors = |file: &str| {
        let bytes = std::fs::read(path(file)).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[header..].to_vec()
    };
    assert_eq!(tensors("a.safetensors"), tensors("b.safetensors"));
    assert_eq!(embed("run", "a.npy"), embed("imported", "b.npy"));

    let printed = succeed(simsiam().arg("train").arg("--resume").arg(path("imported")));
    assert!(printed.contains("kNN top-1"), "{printed}");
}

#[test]
fn metadata_of_ones_own_replaces_nothing() {
    let fixture = trained();
    for (given, expected) in [
        (&["data=cifar10"][..], "--metadata data: is written by the program; choose another key"),
        (&["exported_by=me"], "--metadata exported_by: is written by the program"),
        (&["paper=1", "paper=2"], "--metadata paper: is given twice"),
    ] {
        let mut export = simsiam();
        export.arg("export").arg(fixture.path("run")).args(["--format", "torch", "--out"]);
        export.arg(fixture.path("x.safetensors"));
        given.iter().for_each(|given| {
            export.args(["--metadata", given]);
        });
        let printed = refused(&mut export);
        assert!(printed.contains(expected), "{printed}");
    }
}

#[test]
fn a_file_is_not_given_another_formats_name() {
    let fixture = trained();
    for (format, name, allowed) in [
        ("onnx", "x.safetensors", ".onnx"),
        ("torch", "x.onnx", ".safetensors"),
        ("torch", "x", ".safetensors"),
    ] {
        let mut command = simsiam();
        command.arg("export").arg(fixture.path("run")).args(["--format", format, "--out"]);
        let printed = refused(command.arg(fixture.path(name)));
        assert!(
            printed.contains(&format!("{name}: must end in {allowed}, for --format {format}")),
            "{printed}"
        );
        assert!(!fixture.path(name).exists());
    }
}

#[test]
fn files_that_hold_no_fitting_encoder_are_refused() {
    let fixture = trained();
    let import = |file: &str, more: &[&str]| {
        let mut command = simsiam();
        command
            .arg("import")
            .arg(fixture.path(file))
            .arg("--run-dir")
            .arg(fixture.path("imported"))
            .args(more);
        refused(&mut command)
    };
    let model = "run/checkpoints/step-000000025/model.safetensors";
    std::fs::write(fixture.path("text"), "weights").unwrap();
    let whole = std::fs::read(fixture.path(model)).unwrap();
    std::fs::write(fixture.path("cut"), &whole[..whole.len() / 2]).unwrap();
    for (file, more, expected) in [
        ("nowhere", vec![], "nowhere: No such file"),
        ("text", vec![], "text: not a safetensors file "),
        ("cut", vec![], "cut: not a safetensors file "),
        (model, vec!["--arch", "resnet50"], "holds a resnet8, not the resnet50 that --arch names"),
        (model, vec!["--preset", "imagenet"], "resnet8 at 224 was not compiled"),
    ] {
        let printed = import(file, &more);
        assert!(printed.contains(expected), "{printed}");
        assert!(!fixture.path("imported").exists());
    }
}

#[test]
fn weights_mean_the_same_in_pytorch_and_onnx_runtime() {
    let needed = "import torch, torchvision, safetensors, onnxruntime, numpy, PIL";
    let python = Command::new("python3").args(["-c", needed]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 with torch, torchvision, safetensors and onnxruntime is not here");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/weights.py");
    let mut command = Command::new("python3");
    let printed =
        succeed(command.args([script, env!("CARGO_BIN_EXE_simsiam"), "--archs", "resnet8,resnet18"]));
    assert!(printed.contains("| resnet18 |"), "{printed}");
}
