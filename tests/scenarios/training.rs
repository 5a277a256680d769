//! A run from its first step to its last.

use serde_json::Value;

use crate::fixture::{Fixture, succeed, text};

#[test]
fn a_run_trains_evaluates_and_leaves_its_files() {
    let fixture = Fixture::new();
    let val = fixture.path("val");
    let more = ["--epochs", "2", "--knn-every", "1", "--val-shards", val.to_str().unwrap()];
    let printed = succeed(&mut fixture.train("run", &more));
    assert!(printed.contains("untrained: kNN top-1"), "{printed}");
    assert!(printed.contains("epoch 2/2 done: mean loss"), "{printed}");
    assert!(printed.contains("% untrained"), "{printed}");

    let metrics = fixture.metrics("run");
    let steps: Vec<_> = metrics.iter().filter(|line| line.get("loss").is_some()).collect();
    assert_eq!(steps.len(), 50);
    for line in &steps {
        let number = |key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key} in {line}"));
        assert!((-1.0..=1.0).contains(&number("loss")));
        assert!(number("z_std") > 0.0 && number("lr") >= 0.0 && number("epoch") >= 1.0);
    }
    let evaluated: Vec<_> = metrics
        .iter()
        .filter(|line| line.get("knn_top1").is_some())
        .map(|line| line["epoch"].as_u64())
        .collect();
    assert_eq!(evaluated, [Some(0), Some(1), Some(2)]);

    let saved = std::fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    assert!(saved.contains("batch_size = 8") && saved.contains("[recipe]"), "{saved}");
    assert!(fixture.path("run/checkpoints/best.json").is_file());
    assert!(fixture.path("run/checkpoints/step-000000050/state.json").is_file());
}

#[test]
fn workers_change_nothing() {
    let fixture = Fixture::new();
    for workers in ["1", "2"] {
        succeed(&mut fixture.train(workers, &["--epochs", "2", "--workers", workers]));
    }
    assert_eq!(fixture.metrics("1"), fixture.metrics("2"));
    assert_eq!(fixture.metrics("1").len(), 50 + 3);
    assert_eq!(fixture.weights("1", 50), fixture.weights("2", 50));
}

#[test]
fn a_tenth_is_held_out_where_no_validation_shards_are_given() {
    let fixture = Fixture::new();
    let printed = succeed(&mut fixture.train("run", &["--epochs", "1", "--knn-every", "1"]));
    assert!(printed.contains("180 images to train on") && printed.contains("20 queries"), "{printed}");
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_preset() {
    let fixture = Fixture::new();
    let file = fixture.path("config.toml");
    let text = "epochs = 1\nbatch_size = 100\nmomentum = 0.5\nreducing_gap = 3\n\
        [recipe]\nflip_p = 0.25\ncolor_jitter = { hue = 0.05 }\n";
    std::fs::write(&file, text).unwrap();
    succeed(&mut fixture.train("run", &["--config", file.to_str().unwrap()]));
    let saved = std::fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    for line in
        ["epochs = 1\n", "batch_size = 8\n", "momentum = 0.5\n", "base_lr = 0.25\n", "reducing_gap = 3.0\n"]
    {
        assert!(saved.contains(line), "{line} in\n{saved}");
    }
    // What the file does not name of the recipe is the preset's.
    for line in ["flip_p = 0.25\n", "grayscale_p = 0.2\n", "hue = 0.05\n", "brightness = 0.4\n"] {
        assert!(saved.contains(line), "{line} in\n{saved}");
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_its_checkpoints_stay() {
    let fixture = Fixture::new();
    let output = fixture.train("run", &["--epochs", "2", "--base-lr", "1e30"]).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("diverged: at step") && printed.contains("loss NaN"), "{printed}");
    let last = fixture.metrics("run").pop().unwrap();
    assert_eq!((&last["health"], &last["loss"]), (&"diverged".into(), &Value::Null));
    assert!(!fixture.weights("run", 0).is_empty());

    // One step an epoch: its loss is that of the untrained network, and the evaluation is the first to see what it did.
    let more = ["--epochs", "2", "--base-lr", "1e30", "--batch-size", "100", "--knn-every", "1"];
    let output = fixture.train("evaluated", &more).output().unwrap();
    let printed = text(&output);
    assert!(printed.contains("features that are not finite"), "{printed}");
    assert_eq!(fixture.metrics("evaluated").pop().unwrap()["health"], "diverged");
}
