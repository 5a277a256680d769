//! What `--device` says, on a machine without a GPU.

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn the_cpu_passes_the_doctors_comparison_with_itself() {
    let printed = succeed(simsiam().args(["doctor", "--device", "cpu", "--steps", "2", "--batch-size", "4"]));
    for part in ["ok         0.0e0  convolution ", "dresidual", "step    2  loss "] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    assert!(!printed.contains("FAILED"), "{printed}");
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
        refused(simsiam().args(["doctor"])),
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

#[test]
fn what_only_one_device_has_is_refused_on_the_other() {
    let bench = |more: &[&str]| refused(simsiam().args(["bench", "--stage", "train"]).args(more));
    assert!(bench(&["--precision", "f32"]).contains("precision is the GPU's"));
    assert!(bench(&["--largest-batch"]).contains("--largest-batch is for --device cuda"));
    assert!(bench(&["--profile", "--device", "cuda"]).contains("--profile is the CPU's"));
}
