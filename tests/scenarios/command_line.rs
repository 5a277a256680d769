//! Flags of every command, and what is printed on request.

use std::process::Output;

use serde_json::Value;

use crate::fixture::{Fixture, refused, simsiam, succeed, text};

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

#[test]
fn the_configuration_is_printed_on_request_and_is_one_that_config_takes() {
    let fixture = Fixture::new();
    let printed = succeed(&mut fixture.train("run", &["--epochs", "1"]));
    assert!(
        !printed.contains("batch_size = 8") && printed.contains("--show-config prints them"),
        "{printed}"
    );
    let shown = fixture.train("shown", &["--epochs", "1", "--show-config", "--quiet"]).output().unwrap();
    let file = fixture.path("shown.toml");
    std::fs::write(&file, &shown.stdout).unwrap();
    assert!(text(&shown).contains("batch_size = 8\n"), "{}", text(&shown));
    let mut again = simsiam();
    succeed(again.args(["train", "--config"]).arg(&file).arg("--run-dir").arg(fixture.path("again")));
    assert_eq!(fixture.metrics("again"), fixture.metrics("run"));

    assert!(!fixture.path("shown").exists(), "nothing is trained");

    // What a method has no use for is in its configuration, too.
    for method in ["byol", "simclr", "mocov2", "swav", "barlow-twins", "vicreg"] {
        let config = fixture.train("none", &["--method", method, "--show-config"]).output().unwrap().stdout;
        std::fs::write(&file, &config).unwrap();
        let again = simsiam().args(["train", "--show-config", "--config"]).arg(&file).output().unwrap();
        assert_eq!(text(&again), String::from_utf8(config).unwrap(), "{method}");
    }

    let dry = fixture.train("dry", &["--epochs", "1", "--show-config", "--dry-run"]).output().unwrap();
    let printed = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(
        printed.contains("batch_size = 8\n") && printed.contains("dry would be made:\n# run "),
        "{printed}"
    );
    assert!(printed.parse::<toml::Table>().is_ok(), "{printed}");
}

#[test]
fn quiet_leaves_warnings_and_results_and_verbose_says_more() {
    let fixture = Fixture::new();
    crate::fixture::damage(&fixture.shard(), 512); // so that there is a warning
    let printed = succeed(&mut fixture.train("run", &["--epochs", "1", "-q"]));
    assert!(printed.lines().all(|line| line.contains("WARN")) && !printed.is_empty(), "{printed}");
    let listed = succeed(simsiam().args(["--quiet", "runs"]).arg(fixture.path("")));
    assert!(listed.contains("finished"), "{listed}");
    let printed = succeed(&mut fixture.train("verbose", &["--epochs", "1", "-v"]));
    assert!(printed.contains("INFO saved "), "{printed}");
    let printed = refused(&mut fixture.train("neither", &["-q", "-v"]));
    assert!(printed.contains("cannot be used with"), "{printed}");
}

#[test]
fn a_log_in_json_has_a_time_a_level_and_fields_in_every_line() {
    let fixture = Fixture::new();
    crate::fixture::damage(&fixture.shard(), 512); // so that there is a warning
    let flags = ["--epochs", "1", "--knn-every", "1", "--log-format", "json"];
    let Output { status, stdout, stderr } = fixture.train("run", &flags).output().unwrap();
    assert!(status.success() && stdout.is_empty());
    let lines = lines(&stderr);
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
        assert!(["INFO", "WARN"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["message"].is_string(), "{line}");
    }
    let of = |message: &str| lines.iter().filter(|line| line["message"] == message).collect::<Vec<_>>();
    assert_eq!(
        of("step").len(),
        fixture.metrics("run").iter().filter(|line| line.get("loss").is_some()).count()
    );
    assert!(of("step").iter().all(|line| line["loss"].is_f64() && line["step"].is_u64()));
    assert_eq!(of("epoch").len(), 2);
    assert!(of("epoch").iter().all(|line| line["knn_top1"].is_f64()));
    assert!(lines.iter().any(|line| line["level"] == "WARN"));

    let refused =
        simsiam().args(["train", "--shards", "nowhere.tar", "--log-format", "json"]).output().unwrap();
    let error = self::lines(&refused.stderr).pop().unwrap();
    assert_eq!((refused.status.code(), &error["level"]), (Some(2), &"ERROR".into()));
    assert!(error["message"].as_str().unwrap().contains("nowhere.tar"), "{error}");
}

#[test]
fn a_dry_run_says_what_a_run_takes_and_leaves_nothing() {
    let fixture = Fixture::new();
    let printed = succeed(&mut fixture.train("run", &["--epochs", "4", "--knn-every", "2", "--dry-run"]));
    assert!(printed.contains("run would be made:\n"), "{printed}");
    for part in [
        "data    180 images to train on, 22 steps an epoch\n",
        "steps   88 of ",
        "(measured in 6 steps)",
        "with 3 kNN evaluations of ",
        "memory  about ",
        "disk    at most ",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    assert!(!fixture.path("run").exists());
    // A run of fewer steps than are tried.
    let printed = succeed(&mut fixture.train("run", &["--epochs", "1", "--batch-size", "150", "--dry-run"]));
    assert!(printed.contains("(measured in 1 step)") && !printed.contains("kNN"), "{printed}");
    let printed = refused(&mut fixture.train("run", &["--batch-size", "900", "--dry-run"]));
    assert!(printed.contains("larger than the data"), "{printed}");
}

#[test]
fn completions_and_manual_pages_cover_every_command() {
    let fixture = Fixture::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(simsiam().args(["completions", shell]));
        assert!(script.contains("finetune") && script.contains("stop-when"), "{shell}");
    }
    let dir = fixture.path("man");
    succeed(simsiam().arg("man").arg(&dir));
    for page in ["simsiam.1", "simsiam-train.1", "simsiam-runs-compare.1"] {
        let text = std::fs::read_to_string(dir.join(page)).unwrap();
        assert!(text.contains(".TH "), "{page}");
    }
    let train = std::fs::read_to_string(dir.join("simsiam-train.1")).unwrap();
    assert!(train.contains("Optimization") || train.contains("OPTIMIZATION"), "grouped");
    std::fs::write(fixture.path("file"), "").unwrap();
    let output = simsiam().arg("man").arg(fixture.path("file/man")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("cannot write manual pages to "), "{}", text(&output));
}

#[test]
fn a_trace_has_stages_operations_checkpoint_and_evaluation_by_thread() {
    let fixture = Fixture::new();
    let file = fixture.path("trace.json");
    let flags = ["--epochs", "1", "--knn-every", "1", "--online-probe", "--trace", file.to_str().unwrap()];
    succeed(&mut fixture.train("run", &flags));
    let trace: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let named = |name: &str| trace.iter().filter(|event| event["name"] == name).collect::<Vec<_>>();
    let steps = 180 / 8;
    for (name, least) in [
        ("read", 180),
        ("decode", 180),
        ("augment", 180),
        ("read ahead", steps),
        ("collate", steps),
        ("wait for data", steps),
        ("forward", steps),
        ("conv2d", steps),
        ("backward", steps),
        ("conv2d weight gradient", steps),
        ("online probe", steps),
        ("update", steps),
        ("evaluation", 2),
        ("checkpoint", 2),
    ] {
        let events = named(name);
        assert!(events.len() >= least, "{} of {name}", events.len());
        assert!(events.iter().all(|event| event["ph"] == "X" && event["dur"].as_f64() > Some(0.0)), "{name}");
    }
    let threads: Vec<_> =
        named("thread_name").iter().filter_map(|event| event["args"]["name"].as_str()).collect();
    assert!(threads.contains(&"main") && threads.len() > 1, "{threads:?}");
    let printed = refused(&mut fixture.train("again", &flags));
    assert!(printed.contains("trace.json: is there already"), "{printed}");
    assert!(!fixture.path("again").exists());
}
