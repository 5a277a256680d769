//! Options of training that change how long a run goes on, and what its steps are.

use crate::fixture::{Fixture, refused, succeed};
use crate::interruption::resume;

#[test]
fn a_finished_run_goes_on_for_more_epochs_at_the_rates_of_the_longer_run() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "2"]));
    let printed = succeed(resume(&fixture, "run").args(["--epochs", "4"]));
    let said = "# 4 epochs instead of 2: the schedule is drawn anew over all of them; the learning rate after step 50 is 0.003906 \
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
    assert!(printed.contains("goes on after step 25"), "{printed}");
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

fn config(fixture: &Fixture, run: &str) -> String {
    std::fs::read_to_string(fixture.path(run).join("config.toml")).unwrap()
}
