//! What `--device` says, on a machine without a GPU.

use std::sync::Arc;

use dfdx::prelude::Cpu;
use simsiam::feed::Feed;
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{Dtype, Format, Layout, OnBadSample, PipelineConfig, Quarantine, Recipe, ShardSet};

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn the_cpu_passes_the_doctors_comparison_with_itself() {
    let printed = succeed(simsiam().args(["doctor", "--device", "cpu", "--steps", "2", "--batch-size", "4"]));
    for part in ["ok         0.0e0  convolution ", "dresidual", "step    2  loss "] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    assert!(!printed.contains("FAILED"), "{printed}");
}

#[test]
fn bf16_agrees_with_single_precision_to_its_digits() {
    let mut doctor = simsiam();
    doctor.args(["doctor", "--device", "cpu", "--precision", "bf16", "--steps", "3", "--batch-size", "8"]);
    let printed = succeed(&mut doctor);
    assert!(!printed.contains("FAILED"), "{printed}");
    // What is rounded, and what is not.
    for (operation, is_exact) in [("convolution 3x", false), ("linear 24x2048", false), ("cosine ", true)] {
        let line = printed.lines().find(|line| line.contains(operation)).expect("the operation is compared");
        assert_eq!(line.contains("0.0e0"), is_exact, "{line}");
    }
    assert!(printed.contains("up to 5e-3"), "{printed}");
    let losses = printed.lines().filter_map(|line| line.split_once("loss "));
    for (_, losses) in losses {
        let (device, cpu) = losses.split_once("  on the CPU ").expect("two losses");
        let [device, cpu] = [device, cpu].map(|loss| loss.trim().parse::<f64>().expect("a number"));
        assert!(device != cpu && (device - cpu).abs() < 0.02, "{printed}");
    }
}

/// With the feature, where there is no driver; without it, everywhere.
#[test]
fn a_gpu_that_cannot_be_used_is_one_line() {
    if cfg!(feature = "cuda") && std::path::Path::new("/dev/nvidiactl").exists() {
        println!("skipped: there is a GPU");
        return;
    }
    let fixture = Fixture::new();
    for printed in [
        refused(&mut fixture.train("run", &["--epochs", "1", "--device", "cuda"])),
        refused(simsiam().args(["doctor", "--device", "cuda"])),
        refused(simsiam().args(["bench", "--stage", "train", "--device", "cuda"])),
    ] {
        let error = printed.lines().last().unwrap_or_default();
        let expected: &[&str] = if cfg!(feature = "cuda") {
            &["error: cannot load libcu", "error: no CUDA device can be used"]
        } else {
            &["error: this program was built without CUDA"]
        };
        assert!(expected.iter().any(|expected| error.starts_with(expected)), "{printed}");
    }
    assert!(!fixture.path("run").exists());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn the_doctor_says_what_a_machine_without_a_gpu_has() {
    let cache = tempfile::tempdir().unwrap();
    let doctor = || {
        let mut doctor = simsiam();
        doctor.arg("doctor").current_dir(cache.path()).env("XDG_CACHE_HOME", cache.path());
        doctor
    };
    let printed = succeed(&mut doctor());
    let names = ["program", "processor", "instructions", "cores", "memory", "current folder", "cache folder"];
    for name in names {
        let line = printed.lines().find(|line| line.get(8..).is_some_and(|line| line.starts_with(name)));
        assert!(line.is_some_and(|line| line.starts_with("ok ") || line.starts_with("note ")), "{printed}");
    }
    assert!(
        printed.contains("note    GPU             none: this program was built without CUDA"),
        "{printed}"
    );
    assert_eq!(printed.lines().last(), Some("verdict: fit to train on the CPU"), "{printed}");

    let limited = succeed(doctor().env("SIMSIAM_INSTRUCTIONS", "scalar"));
    assert!(limited.contains("instructions    scalar"), "{limited}");

    // Where even root cannot write, training works with a folder that is named, and without a cache.
    let printed = succeed(doctor().current_dir("/proc").env("XDG_CACHE_HOME", "/proc/none"));
    assert!(printed.contains("note    current folder  not writable ("), "{printed}");
    assert!(printed.contains("note    cache folder    /proc/none/simsiam is not writable ("), "{printed}");
    assert!(printed.ends_with("verdict: fit to train on the CPU\n"), "{printed}");
}

#[test]
fn what_only_one_device_has_is_refused_on_the_other() {
    let bench = |more: &[&str]| refused(simsiam().args(["bench", "--stage", "train"]).args(more));
    assert!(
        bench(&["--precision", "tf32"]).contains("--precision tf32: must be f32 or bf16 with --device cpu")
    );
    assert!(bench(&["--largest-batch"]).contains("--largest-batch is for --device cuda"));
    assert!(bench(&["--profile", "--device", "cuda"]).contains("--profile is the CPU's"));
}

#[test]
fn bytes_are_fed_as_the_values_of_the_recipe() {
    let fixture = Fixture::new();
    let path = fixture.path("train").display().to_string();
    let shards = Arc::new(ShardSet::open(&[path], &OpenOptions::default()).unwrap());
    let fed = |dtype| {
        let format = Format { layout: Layout::Nchw, dtype };
        let config =
            PipelineConfig { format, epochs: 0..1, ..PipelineConfig::training(Recipe::cifar10(), 50, 3) };
        let quarantine = Arc::new(Quarantine::new(OnBadSample::default(), shards.len()));
        let batches = simsiam_pipeline::start(shards.clone(), quarantine, &config).unwrap();
        let feed = Feed::<Cpu>::start(batches, 2, &config.recipe).unwrap();
        feed.map(|batch| batch.unwrap()).map(|batch| (batch.samples, batch.views.collect())).collect()
    };
    let values: Vec<(Vec<usize>, Vec<Vec<f32>>)> = fed(Dtype::F32);
    assert_eq!(values.len(), 4);
    assert_eq!(values, fed(Dtype::U8));
}
