//! What `simsiam bench` prints.

use serde_json::Value;

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn the_loader_is_measured_at_every_stage() {
    let fixture = Fixture::new();
    for stage in ["decode", "views", "batches"] {
        let mut command = simsiam();
        command.arg("bench").arg("--shards").arg(fixture.path("train"));
        command.args(["--stage", stage, "--workers", "2", "--seconds", "0.3", "--json"]);
        let report: Value = serde_json::from_str(&succeed(&mut command)).unwrap();
        assert_eq!((&report["stage"], &report["workers"]), (&stage.into(), &2.into()));
        assert_eq!(report["views"], serde_json::json!([{ "count": 2, "size": 32 }]));
        assert_eq!(report["samples"], 200);
        for key in ["images_per_s", "decode_only_images_per_s", "cores_busy"] {
            assert!(report[key].as_f64().unwrap() > 0.0, "{key} in {report}");
        }
        assert!(report["step_us"]["decode"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(report["step_us"]["augment"].as_f64().unwrap() > 0.0, stage != "decode", "{report}");
        assert_eq!(report["queues"].as_array().unwrap().is_empty(), stage != "batches", "{report}");
        let bottlenecks = ["decode", "augment", "read", "consumer"];
        assert!(bottlenecks.contains(&report["bottleneck"].as_str().unwrap()), "{report}");
        if cfg!(target_os = "linux") {
            assert!(report["rss_mib"].as_f64().unwrap() > 0.1, "{report}");
        }
    }
}

#[test]
fn a_person_reads_lines_and_a_bad_setting_is_refused() {
    let fixture = Fixture::new();
    let bench = || {
        let mut command = simsiam();
        command.arg("bench").arg("--shards").arg(fixture.path("train"));
        command
    };
    let printed = succeed(bench().args(["--workers", "1", "--seconds", "0.3"]));
    for part in [
        "decode only: ",
        "2 views of 32 x 32 of each image",
        "batches of views: ",
        "% of decode only",
        "bottleneck: ",
        "cores busy",
    ] {
        assert!(printed.contains(part), "{part} in\n{printed}");
    }
    assert!(
        succeed(bench().args(["--world-size", "2", "--rank", "1", "--seconds", "0.3"])).contains("images/s")
    );
    let printed = refused(bench().args(["--world-size", "2", "--rank", "2"]));
    assert!(printed.contains("--rank 2: must be less than the 2 of --world-size"), "{printed}");
    assert!(
        refused(bench().args(["--seconds", "0"])).contains("error: --seconds 0: must be a number above 0")
    );
    assert!(refused(simsiam().args(["bench", "--shards", "nowhere.tar"])).contains("nowhere.tar"));
    assert!(refused(simsiam().arg("bench")).contains("no shards to measure with"));
    for flag in [&["--profile"][..], &["--device", "cpu"], &["--arch", "resnet8"], &["--largest-batch"]] {
        assert!(refused(bench().args(flag)).contains(&format!("{} is for --stage train", flag[0])));
    }
}

#[test]
fn training_steps_are_measured_and_their_time_is_accounted_for() {
    let bench = || {
        let mut command = simsiam();
        command.args([
            "bench",
            "--stage",
            "train",
            "--arch",
            "resnet8",
            "--batch-size",
            "4",
            "--seconds",
            "0.3",
        ]);
        command
    };
    let report: Value = serde_json::from_str(&succeed(bench().args(["--json", "--profile"]))).unwrap();
    let (images, steps) = (report["images_per_s"].as_f64().unwrap(), report["steps_per_s"].as_f64().unwrap());
    assert!(steps > 0.0 && (images / steps - 4.0).abs() < 1e-6, "{report}");
    let operations = report["operations"].as_array().unwrap();
    let shares: f64 = operations.iter().map(|operation| operation["share"].as_f64().unwrap()).sum();
    assert!(operations.len() > 10 && (0.5..=1.0).contains(&shares), "{report}");
    assert!(succeed(&mut bench()).contains("images/s"));
    assert!(
        refused(bench().args(["--world-size", "2"])).contains("--world-size and --rank are the loader's")
    );
    for (flag, value) in [("--workers", "2"), ("--shards", "nowhere.tar")] {
        assert!(refused(bench().args([flag, value])).contains(&format!("{flag} is the loader's")));
    }
    let printed = refused(bench().args(["--preset", "imagenet"]));
    assert!(printed.contains("resnet8 at 224 was not compiled"), "{printed}");
}
