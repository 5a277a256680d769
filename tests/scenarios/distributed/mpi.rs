//! Several processes that train one run, started by `mpirun`; nothing where that is not installed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::fixture::{Fixture, damage, succeed, text};
use crate::interruption::{resume, spawn, wait_for};

/// `command` as so many ranks; `None` where nothing can start them.
fn ranks(count: usize, command: &Command) -> Option<Command> {
    let finds = Command::new("mpirun").arg("--version").output();
    if finds.is_err() {
        println!("skipped: mpirun is not installed");
        return None;
    }
    let mut several = Command::new("mpirun");
    // As in a container, with more ranks than cores.
    several.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    several.args(["--oversubscribe", "--bind-to", "none", "-n", &count.to_string()]);
    several.arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        several.current_dir(dir);
    }
    Some(several)
}

/// Two lists of options for a program, as `mpirun -n 1 PROGRAM ... : -n 1 PROGRAM ...` starts them.
fn two_different(first: &Command, second: &Command) -> Option<Command> {
    let mut both = ranks(1, first)?;
    both.args([":", "-n", "1"]).arg(second.get_program()).args(second.get_args());
    Some(both)
}

/// Losses of a run's log lines.
fn losses(fixture: &Fixture, run: &str) -> Vec<f64> {
    fixture.metrics(run).iter().filter_map(|line| line["loss"].as_f64()).collect()
}

/// Ends the process of a rank and returns what became of all.
fn after(signal: &str, rank: usize, child: Child, run: &Path) -> (Output, Duration) {
    let process = processes(run).into_iter().find(|process| process.rank == rank).unwrap().id;
    let since = Instant::now();
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    (output, since.elapsed())
}

struct Process {
    id: u32,
    rank: usize,
}

/// The ranks whose command line names a run.
fn processes(run: &Path) -> Vec<Process> {
    let run = run.to_string_lossy().into_owned();
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let process = |id: u32| {
        let read = |what: &str| fs::read_to_string(format!("/proc/{id}/{what}")).ok();
        if !read("cmdline")?.split('\0').any(|argument| argument == run) {
            return None;
        }
        let environment = read("environ")?;
        let rank = environment.split('\0').find_map(|entry| entry.strip_prefix("OMPI_COMM_WORLD_RANK="))?;
        Some(Process { id, rank: rank.parse().ok()? })
    };
    ids.filter_map(process).collect()
}

fn has_ended(run: &Path) -> bool {
    // The system takes a moment to forget a process that was killed.
    let since = Instant::now();
    while !processes(run).is_empty() {
        if since.elapsed() > Duration::from_secs(5) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

const MORE: [&str; 6] = ["--epochs", "2", "--batch-size", "8", "--checkpoint-every", "7"];

#[test]
fn two_ranks_have_the_losses_of_one_process() {
    let fixture = Fixture::new();
    let more = ["--epochs", "8", "--batch-size", "32", "--base-lr", "0.05", "--online-probe"];
    let train = |run: &str| {
        let mut command = fixture.train(run, &more);
        command.args(["--knn-every", "4", "--val-shards"]).arg(fixture.path("val"));
        command
    };
    let Some(mut two) = ranks(2, &train("two")) else { return };
    let printed = succeed(&mut two);
    succeed(&mut train("one"));
    assert!(printed.contains(", on 2 processes"), "{printed}");
    let lines = |start: &str| printed.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((lines("# simsiam"), lines("epoch 8/8 done")), (1, 1), "the first alone prints: {printed}");
    let (one, two) = (losses(&fixture, "one"), losses(&fixture, "two"));
    assert_eq!((one.len(), two.len()), (48, 48));
    // Sums are rounded in another order, and each step makes more of the difference.
    for (step, (one, two)) in one.iter().zip(&two).enumerate() {
        let allowed = if step < 5 { 1e-6 } else { 1e-2 };
        assert!((one - two).abs() < allowed, "step {step}: {two}, and {one} of one process");
    }
    let processes = |run: &str| {
        let text = fs::read(fixture.path(run).join("provenance.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()[0]["processes"].as_u64()
    };
    assert_eq!((processes("one"), processes("two")), (Some(1), Some(2)));
}

#[test]
fn any_number_of_ranks_comes_to_the_same_bits_where_sums_have_an_order() {
    let fixture = Fixture::new();
    let train = |run: &str| {
        let mut command = fixture.train(run, &MORE);
        command.args(["--deterministic", "--online-probe", "--knn-every", "1"]);
        command
    };
    let Some(mut two) = ranks(2, &train("two")) else { return };
    succeed(&mut train("one"));
    succeed(&mut two);
    succeed(&mut ranks(4, &train("four")).unwrap());
    let steps = 2 * (180 / 8);
    for run in ["two", "four"] {
        assert_eq!(fixture.metrics(run), fixture.metrics("one"), "{run}");
        same_checkpoints(&fixture, run, "one", steps);
    }

    // Killed after a checkpoint, and on with other numbers of ranks.
    let mut child = spawn(&mut ranks(4, &train("moved")).unwrap());
    let run = fixture.path("moved");
    wait_for(&run.join("checkpoints/step-000000007"), &mut child);
    let (output, _) = after("-KILL", 3, child, &run);
    assert!(!output.status.success() && has_ended(&run), "{}", text(&output));
    let mut child = spawn(&mut ranks(2, &resume(&fixture, "moved")).unwrap());
    wait_for(&run.join("checkpoints/step-000000028"), &mut child);
    let (output, _) = after("-KILL", 0, child, &run);
    assert!(!output.status.success() && has_ended(&run), "{}", text(&output));
    succeed(&mut resume(&fixture, "moved"));
    assert_eq!(fixture.metrics("moved"), fixture.metrics("one"));
    same_checkpoints(&fixture, "moved", "one", steps);
}

/// Tensors of the model, the optimiser and the probe.
fn same_checkpoints(fixture: &Fixture, run: &str, other: &str, step: u64) {
    for name in ["model", "optimizer", "probe"] {
        let file = |run: &str| {
            let path = format!("{run}/checkpoints/step-{step:09}/{name}.safetensors");
            fs::read(fixture.path(&path)).unwrap()
        };
        let (file, other) = (file(run), file(other));
        let (tensors, others) =
            (SafeTensors::deserialize(&file).unwrap(), SafeTensors::deserialize(&other).unwrap());
        assert_eq!(tensors.len(), others.len());
        for (key, tensor) in tensors.iter() {
            assert!(tensor.data() == others.tensor(key).unwrap().data(), "{run}: {key}");
        }
    }
}

#[test]
fn a_rank_that_is_killed_or_stands_still_ends_all() {
    let fixture = Fixture::new();
    for (signal, run) in [("-KILL", "killed"), ("-STOP", "stopped")] {
        let train = fixture.train(run, &["--epochs", "500", "--rank-timeout", "3"]);
        let Some(mut command) = ranks(2, &train) else { return };
        let mut child = spawn(&mut command);
        let run = fixture.path(run);
        wait_for(&run.join("checkpoints/step-000000025"), &mut child);
        let (output, took) = after(signal, 1, child, &run);
        let printed = text(&output);
        assert!(!output.status.success() && has_ended(&run), "{signal}: {printed}");
        assert!(took < Duration::from_secs(30), "{signal}: {took:?}");
        if signal == "-STOP" {
            let told = "error: rank 1 on ";
            let told: Vec<_> = printed.lines().filter(|line| line.starts_with(told)).collect();
            let [told] = told[..] else { panic!("{printed}") };
            assert!(told.contains(" has not responded for 3 s; rank 0 on "), "{told}");
        }
    }
}

#[test]
fn a_signal_to_one_rank_saves_all_and_they_go_on() {
    let fixture = Fixture::new();
    let more = ["--epochs", "3", "--deterministic", "--keep-checkpoints", "100"];
    succeed(&mut fixture.train("whole", &more));
    let Some(mut command) = ranks(2, &fixture.train("run", &more)) else { return };
    let mut child = spawn(&mut command);
    let run = fixture.path("run");
    wait_for(&run.join("checkpoints/step-000000025"), &mut child);
    let first = processes(&run).into_iter().find(|process| process.rank == 1).unwrap().id;
    assert!(Command::new("kill").args(["-USR1", &first.to_string()]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(300));
    let (output, _) = after("-TERM", 1, child, &run);
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(130), "{printed}");
    assert_eq!(printed.matches("\nsaved step-").count(), 1, "{printed}");
    assert_eq!(printed.matches("interrupted and saved; continue with: ").count(), 1, "{printed}");
    assert!(has_ended(&run));
    succeed(&mut ranks(2, &resume(&fixture, "run")).unwrap());
    assert_eq!(fixture.metrics("run"), fixture.metrics("whole"));
    assert_eq!(fixture.weights("run", 75), fixture.weights("whole", 75));
}

#[test]
fn ranks_with_batch_norms_of_their_own_shuffle_keys_and_go_on() {
    let fixture = Fixture::new();
    let train = |run: &str, sync: &str| {
        let more = ["--method", "mocov2", "--epochs", "2", "--checkpoint-every", "7", "--sync-bn", sync];
        fixture.train(run, &more)
    };
    let Some(mut two) = ranks(2, &train("two", "false")) else { return };
    succeed(&mut two);
    succeed(&mut ranks(2, &train("synchronised", "true")).unwrap());
    let (own, synchronised) = (losses(&fixture, "two"), losses(&fixture, "synchronised"));
    assert!(own.len() == synchronised.len() && own.iter().all(|loss| loss.is_finite()), "{own:?}");
    assert_ne!(own[0], synchronised[0]);

    let mut child = spawn(&mut ranks(2, &train("moved", "false")).unwrap());
    let run = fixture.path("moved");
    wait_for(&run.join("checkpoints/step-000000014"), &mut child);
    let (output, _) = after("-KILL", 1, child, &run);
    assert!(!output.status.success() && has_ended(&run), "{}", text(&output));
    succeed(&mut ranks(2, &resume(&fixture, "moved")).unwrap());
    assert_eq!(fixture.metrics("moved"), fixture.metrics("two"));
}

#[test]
fn ranks_that_do_not_fit_together_are_refused_in_one_line() {
    let fixture = Fixture::new();
    let refused = |command: Option<Command>| {
        let output = command.unwrap().output().unwrap();
        let printed = text(&output);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        let told: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        let [told] = told[..] else { panic!("{printed}") };
        assert!(!fixture.path("run").exists(), "nothing was begun");
        told.to_owned()
    };
    let train = |more: &[&str]| fixture.train("run", more);
    if ranks(1, &train(&[])).is_none() {
        return;
    }
    let told = refused(ranks(3, &train(&[])));
    assert_eq!(told, "--batch-size 8: must be a multiple of 3, the number of processes");
    let told = refused(ranks(2, &train(&["--epochs", "0"])));
    assert_eq!(told, "--epochs 0: must be at least 1");
    let told = refused(ranks(2, &train(&["--shards", "no/such.tar"])));
    assert!(told.contains("no/such.tar"), "{told}");
    let told = refused(two_different(&train(&["--epochs", "3"]), &train(&["--epochs", "4"])));
    assert!(
        told.starts_with("rank 1 on ") && told.contains(" has another configuration than rank 0 on "),
        "{told}"
    );
    assert!(told.ends_with(": epochs = 4, and not epochs = 3"), "{told}");
    let val = fixture.path("val");
    let told = refused(two_different(&train(&[]), &train(&["--shards", val.to_str().unwrap()])));
    assert!(
        told.starts_with("rank 1 on ") && told.contains(" has another set of training images than "),
        "{told}"
    );
    let told = refused(two_different(&train(&[]), &train(&["--shards", "no/such.tar"])));
    assert!(told.starts_with("rank 1 on ") && told.contains("no/such.tar"), "{told}");
}

#[test]
fn what_one_rank_cannot_use_all_know_of_and_an_error_of_one_ends_all() {
    let fixture = Fixture::new();
    let shard = fs::read(fixture.shard()).unwrap();
    let start = shard.windows(3).position(|bytes| bytes == [0xff, 0xd8, 0xff]).unwrap();
    damage(&fixture.shard(), start);
    let train = |run: &str, more: &[&str]| fixture.train(run, &[&["--epochs", "1"], more].concat());
    let Some(mut two) = ranks(2, &train("two", &[])) else { return };
    let printed = succeed(&mut two);
    succeed(&mut train("one", &[]));
    let bad = |run: &str| fs::read_to_string(fixture.path(run).join("quarantine.json")).unwrap();
    assert_eq!(bad("two"), bad("one"));
    assert_eq!(printed.matches("skipped ").count(), 1, "{printed}");

    let run = fixture.path("failed");
    let output = ranks(2, &train("failed", &["--on-bad-sample", "fail"])).unwrap().output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    let told: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert!(
        matches!(told[..], [told] if told.starts_with("rank ") && told.contains("train-000.tar")),
        "{printed}"
    );
    assert!(has_ended(&run));
}
