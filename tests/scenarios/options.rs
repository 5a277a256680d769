//! Options of training that change how long a run goes on, and what its steps are.

use crate::fixture::{Fixture, refused, succeed, text};
use crate::interruption::resume;

#[test]
fn a_finished_run_goes_on_for_more_epochs_at_the_rates_of_the_longer_run() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "2"]));
    let printed = succeed(resume(&fixture, "run").args(["--epochs", "4"]));
    let said = "# 4 epochs instead of 2: the schedule is recomputed for all of them; the learning rate after step 50 is 0.003906 \
                instead of 0.000000";
    assert!(printed.contains(said), "{printed}");
    assert!(printed.contains("epoch 4/4 done"), "{printed}");
    assert!(config(&fixture, "run").contains("epochs = 4\n"));

    succeed(&mut fixture.train("long", &["--epochs", "4"]));
    let rates = |run: &str| -> Vec<_> {
        fixture.metrics(run).iter().filter_map(|line| line["lr"].as_f64()).skip(50).collect()
    };
    assert_eq!((rates("run").len(), rates("run")), (50, rates("long")));

    let printed = succeed(resume(&fixture, "run").args(["--epochs", "4"]));
    assert!(printed.contains("this run is finished: 4 of 4 epochs done (100 steps)"), "{printed}");
    assert!(!printed.contains("instead of"), "{printed}");
}

#[test]
fn an_extended_run_that_is_killed_goes_on_to_the_same_bits() {
    let fixture = Fixture::new();
    for run in ["whole", "killed"] {
        succeed(&mut fixture.train(run, &["--epochs", "1", "--keep-checkpoints", "9"]));
        succeed(resume(&fixture, run).args(["--epochs", "3"]));
    }
    // As if it had been killed in its second epoch: the newest checkpoint is of the shorter run.
    for step in [50, 75] {
        std::fs::remove_dir_all(fixture.path(&format!("killed/checkpoints/step-{step:09}"))).unwrap();
    }
    let printed = succeed(&mut resume(&fixture, "killed"));
    assert!(printed.contains("resumed after step 25"), "{printed}");
    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
    assert_eq!(fixture.weights("killed", 75), fixture.weights("whole", 75));
}

#[test]
fn fewer_epochs_than_are_done_are_refused_and_change_nothing() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "3"]));
    let before = (config(&fixture, "run"), fixture.metrics("run"));
    let printed = refused(resume(&fixture, "run").args(["--epochs", "2"]));
    let path = fixture.path("run");
    let said =
        format!("--epochs 2: must be at least 3, for {} has done 75 steps of 25 an epoch", path.display());
    assert!(printed.contains(&said), "{printed}");
    assert_eq!((config(&fixture, "run"), fixture.metrics("run")), before);

    // One that is in its second epoch can end there.
    succeed(
        &mut fixture
            .train("short", &["--epochs", "4", "--checkpoint-every", "10", "--keep-checkpoints", "99"]),
    );
    for step in [40, 50, 60, 70, 75, 80, 90, 100] {
        std::fs::remove_dir_all(fixture.path(&format!("short/checkpoints/step-{step:09}"))).unwrap();
    }
    let printed = succeed(resume(&fixture, "short").args(["--epochs", "2"]));
    assert!(printed.contains("2 epochs instead of 4") && printed.contains("epoch 2/2 done"), "{printed}");
}

#[test]
fn a_run_ends_by_its_rule_and_goes_on_without_it() {
    let fixture = Fixture::new();
    let labelled = ["--knn-every", "1", "--epochs", "5"];
    // Whatever the accuracy is after one epoch, it is above this.
    let flags = ["--stop-when", "stale 3", "--stop-when", "knn>=0.5"];
    let printed = succeed(fixture.train("run", &labelled).args(flags));
    assert!(
        printed.contains("finished early, after epoch 1 of 5: `knn>=0.5` holds: kNN top-1 is "),
        "{printed}"
    );
    assert!(config(&fixture, "run").contains("stop_when = [\"stale 3\", \"knn>=0.5\"]\n"));
    let last = fixture.metrics("run").pop().unwrap();
    assert_eq!((&last["epoch"], &last["stopped_by"]), (&1.into(), &"knn>=0.5".into()));
    assert!(!fixture.weights("run", 22).is_empty());

    let printed = succeed(&mut resume(&fixture, "run"));
    assert!(printed.contains("# this run is finished by --stop-when 'knn>=0.5'"), "{printed}");
    assert!(printed.contains("finished early, after epoch 1 of 5"), "{printed}");

    let printed = succeed(resume(&fixture, "run").args(["--stop-when", "never"]));
    assert!(printed.contains("epoch 5/5 done") && !printed.contains("finished"), "{printed}");
    assert!(!config(&fixture, "run").contains("stop_when"));
    succeed(&mut fixture.train("whole", &labelled));
    assert_eq!(fixture.weights("run", 110), fixture.weights("whole", 110));
}

#[test]
fn a_run_whose_accuracy_stays_ends_after_so_many_evaluations() {
    let fixture = Fixture::new();
    // Nothing is learned at a rate of 0 but batch norm's running statistics.
    let more = ["--knn-every", "1", "--epochs", "9", "--base-lr", "0", "--stop-when", "knn>=100,stale 2"];
    let printed = succeed(&mut fixture.train("run", &more));
    assert!(printed.contains("`stale 2` holds: 2 evaluations no better than kNN top-1"), "{printed}");
    let lines = fixture.metrics("run");
    let top1: Vec<f64> = lines.iter().filter_map(|line| line["knn_top1"].as_f64()).collect();
    let best = top1.iter().copied().fold(0.0, f64::max);
    assert_eq!(top1.iter().position(|top1| *top1 == best), Some(top1.len() - 3), "{top1:?}");
}

#[test]
fn rules_that_can_never_hold_are_refused() {
    let fixture = Fixture::new();
    let refusal = |more: &[&str]| refused(fixture.train("run", &["--epochs", "5"]).args(more));
    let printed = refusal(&["--stop-when", "knn>=55"]);
    assert!(
        printed.contains("--stop-when knn>=55: must be left out with --knn-every 0, which evaluates nothing"),
        "{printed}"
    );
    let printed = refusal(&["--knn-every", "1", "--stop-when", "stale 6"]);
    assert!(printed.contains("--stop-when stale 6: must be at most 5 evaluations"), "{printed}");
    let printed = refusal(&["--stop-when", "loss<0"]);
    assert!(
        printed
            .contains("--stop-when loss<0: must be `knn>=P` (percent, above 0 and at most 100), `stale N`"),
        "{printed}"
    );
    let mut unlabelled = crate::fixture::simsiam();
    unlabelled.args(["train", "--preset", "demo", "--stop-when", "knn>=55", "--labels", "none", "--shards"]);
    let printed = refused(unlabelled.arg(fixture.path("train")).arg("--run-dir").arg(fixture.path("none")));
    assert!(
        printed.contains("--stop-when knn>=55 asks for kNN, which needs --val-shards with labels"),
        "{printed}"
    );
    assert!(!fixture.path("run").exists() && !fixture.path("none").exists());
}

#[test]
fn each_optimizer_trains_and_goes_on_to_the_same_bits() {
    let fixture = Fixture::new();
    for (optimizer, settings) in [
        ("lars", "optimizer = \"lars\"\nmomentum = 0.9\nweight_decay = 0.000001\n"),
        ("adamw", "weight_decay = 0.01\n"),
    ] {
        let more = [
            "--epochs",
            "2",
            "--optimizer",
            optimizer,
            "--checkpoint-every",
            "15",
            "--keep-checkpoints",
            "9",
        ];
        succeed(&mut fixture.train(optimizer, &more));
        let saved = config(&fixture, optimizer);
        assert!(saved.contains(settings), "{saved}");
        let whole = (fixture.metrics(optimizer), fixture.weights(optimizer, 50));
        let losses: Vec<_> = whole.0.iter().filter_map(|line| line["loss"].as_f64()).collect();
        assert_eq!(losses.len(), 50);
        for step in [25, 30, 45, 50] {
            let path = format!("{optimizer}/checkpoints/step-{step:09}");
            std::fs::remove_dir_all(fixture.path(&path)).unwrap();
        }
        let printed = succeed(&mut resume(&fixture, optimizer));
        assert!(printed.contains("resumed after step 15"), "{printed}");
        assert!((fixture.metrics(optimizer), fixture.weights(optimizer, 50)) == whole, "{optimizer}");
    }
    let printed = refused(resume(&fixture, "lars").args(["--optimizer", "sgd"]));
    assert!(printed.contains("optimizer was \"lars\", now \"sgd\""), "{printed}");
    // A checkpoint's files of another run.
    let of = |run: &str| fixture.path(&format!("{run}/checkpoints/step-000000050"));
    let state = |run: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(of(run).join("state.json")).unwrap()).unwrap()
    };
    let mut mixed = state("adamw");
    mixed["files"]["optimizer.safetensors"] = state("lars")["files"]["optimizer.safetensors"].clone();
    mixed["state"]["counters"]["epochs_reported"] = 2.into();
    std::fs::write(of("adamw").join("state.json"), mixed.to_string()).unwrap();
    std::fs::copy(of("lars").join("optimizer.safetensors"), of("adamw").join("optimizer.safetensors"))
        .unwrap();
    let output = resume(&fixture, "adamw").output().unwrap();
    let printed = text(&output);
    assert!(!output.status.success(), "{printed}");
    assert!(
        printed
            .contains("the checkpoint's optimizer: the values are those of the optimizer lars, not of adamw"),
        "{printed}"
    );
}

#[test]
fn one_batch_a_step_is_what_there_is_without_accumulation() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("plain", &["--epochs", "1"]));
    succeed(&mut fixture.train("one", &["--epochs", "1", "--accumulate", "1"]));
    assert_eq!(fixture.metrics("one"), fixture.metrics("plain"));
    assert_eq!(fixture.weights("one", 25), fixture.weights("plain", 25));
}

#[test]
fn a_run_that_accumulates_counts_updates_and_goes_on_to_the_same_bits() {
    let fixture = Fixture::new();
    let more = ["--epochs", "2", "--accumulate", "3", "--checkpoint-every", "5", "--keep-checkpoints", "9"];
    succeed(&mut fixture.train("run", &more));
    // 25 batches an epoch make 8 steps.
    let whole = (fixture.metrics("run"), fixture.weights("run", 16));
    let rates: Vec<_> = whole.0.iter().filter_map(|line| line["lr"].as_f64()).collect();
    assert_eq!((rates.len(), rates[0] as f32), (16, (0.25 * 24.0 / 256.0) as f32));
    for step in [8, 10, 15, 16] {
        std::fs::remove_dir_all(fixture.path(&format!("run/checkpoints/step-{step:09}"))).unwrap();
    }
    let printed = succeed(resume(&fixture, "run").args(["--workers", "2"]));
    assert!(printed.contains("resumed after step 5"), "{printed}");
    assert!((fixture.metrics("run"), fixture.weights("run", 16)) == whole);

    let printed = refused(resume(&fixture, "run").args(["--accumulate", "2"]));
    assert!(printed.contains("accumulate was 3, now 2"), "{printed}");
    let printed = refused(&mut fixture.train("other", &["--accumulate", "26"]));
    assert!(printed.contains("--accumulate 26: must be at most 25, the batches of an epoch"), "{printed}");
}

fn config(fixture: &Fixture, run: &str) -> String {
    std::fs::read_to_string(fixture.path(run).join("config.toml")).unwrap()
}
