//! A run that is killed or stopped goes on exactly.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, refused, simsiam, succeed, text};

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let fixture = Fixture::new();
    let more = ["--epochs", "2", "--checkpoint-every", "7", "--knn-every", "1"];
    succeed(&mut fixture.train("whole", &more));

    let mut child = spawn(&mut fixture.train("killed", &more));
    wait_for(&fixture.path("killed/checkpoints/step-000000014"), &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let printed = succeed(resume(&fixture, "killed").args(["--workers", "2"]));
    assert!(printed.contains("resumed after step"), "{printed}");

    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
    let steps = 2 * (180 / 8);
    assert_eq!(fixture.weights("killed", steps), fixture.weights("whole", steps));
}

/// Kills a run at moments that nobody chose, again and again, and lets it go on with another number of workers each
/// time: 3 times, or as often as `KILLS` says. A run that gets to its end in between is checked, and another begun.
#[test]
fn a_run_killed_again_and_again_ends_in_the_same_bits() {
    let kills: u64 = std::env::var("KILLS").map_or(3, |text| text.parse().unwrap());
    let fixture = Fixture::new();
    let more = ["--epochs", "3", "--checkpoint-every", "2", "--knn-every", "1"];
    let started = Instant::now();
    succeed(&mut fixture.train("whole", &more));
    let whole_ms = started.elapsed().as_millis() as u64;

    let mut random = seed();
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below.max(1)
    };
    let check = || {
        assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
        let steps = 3 * (180 / 8);
        assert_eq!(fixture.weights("killed", steps), fixture.weights("whole", steps));
    };
    let mut done = 0;
    while done < kills {
        let workers = (1 + draw(3)).to_string();
        let mut command = if fixture.path("killed/config.toml").exists() {
            resume(&fixture, "killed")
        } else {
            fixture.train("killed", &more)
        };
        let mut child = command
            .args(["--workers", &workers])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(draw(whole_ms / 4)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            check();
            std::fs::remove_dir_all(fixture.path("killed")).unwrap();
        } else {
            assert_eq!(status.code(), None, "killed, and not refused: {status}");
            done += 1;
        }
    }
    succeed(&mut resume(&fixture, "killed"));
    check();
    println!("{done} kills survived");
}

#[test]
#[cfg(unix)]
fn an_interrupt_a_termination_or_a_hangup_finishes_the_step_saves_and_exits_130() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        if signal == "-HUP" && ignores_hangups() {
            eprintln!("skipped: this process ignores SIGHUP, and so do those it starts");
            continue;
        }
        let fixture = Fixture::new();
        let mut child = spawn(&mut fixture.train("run", &["--epochs", "50"]));
        wait_for(&fixture.path("run/checkpoints/step-000000025"), &mut child);
        send(signal, &child);
        if signal != "-INT" {
            send(signal, &child); // as `timeout` does
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output));
        assert!(text(&output).contains(" train --resume "), "{}", text(&output));
        let done = fixture.metrics("run").iter().filter_map(|line| line["step"].as_u64()).max().unwrap();
        assert!(fixture.path(&format!("run/checkpoints/step-{done:09}")).is_dir(), "saved at step {done}");
    }
}

#[test]
#[cfg(unix)]
fn a_run_saves_and_goes_on_when_it_is_asked_to_and_nohup_means_it() {
    let fixture = Fixture::new();
    let train = fixture.train("run", &["--epochs", "3", "--keep-checkpoints", "100"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(train.get_program()).args(train.get_args());
    let mut child = spawn(&mut command);
    wait_for(&fixture.path("run/checkpoints/step-000000000"), &mut child);
    send("-HUP", &child);
    send("-USR1", &child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let printed = text(&output);
    let saved = printed
        .lines()
        .find_map(|line| line.strip_prefix("saved step-"))
        .unwrap_or_else(|| panic!("{printed}"));
    assert!(fixture.path(&format!("run/checkpoints/step-{saved}/state.json")).is_file(), "{printed}");
    assert_eq!(fixture.metrics("run").iter().filter(|line| line.get("loss").is_some()).count(), 75);
}

#[test]
#[cfg(unix)]
fn a_second_interrupt_exits_at_once_and_the_run_goes_on_from_its_checkpoint() {
    let fixture = Fixture::new();
    // Steps of a second or so, in one of which both signals arrive; now and then a step ends between them.
    let exits_at_once = |run: &str| {
        let mut child = spawn(&mut fixture.train(run, &["--epochs", "3", "--batch-size", "180"]));
        wait_for(&fixture.path(run).join("checkpoints/step-000000000"), &mut child);
        send("-INT", &child);
        send("-INT", &child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", text(&output));
        !text(&output).contains("interrupted and saved")
    };
    let run = ["first", "second", "third", "fourth", "fifth"].into_iter().find(|run| exits_at_once(run));
    let run = run.expect("one in five exits before it has saved");
    succeed(&mut resume(&fixture, run));
    assert_eq!(fixture.metrics(run).iter().filter(|line| line.get("loss").is_some()).count(), 3);
}

#[test]
fn a_second_process_is_kept_out_of_a_runs_folder_as_long_as_the_first_lives() {
    let fixture = Fixture::new();
    let mut child = spawn(&mut fixture.train("run", &["--epochs", "50"]));
    wait_for(&fixture.path("run/checkpoints/step-000000000"), &mut child);
    let printed = refused(&mut resume(&fixture, "run"));
    assert!(printed.contains("is in use by another process"), "{printed}");
    child.kill().unwrap();
    child.wait().unwrap();
    // The kernel has released the lock: what is refused now is refused for another reason.
    let printed = refused(resume(&fixture, "run").args(["--batch-size", "16"]));
    assert!(printed.contains("batch_size was 8, now 16"), "{printed}");
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_again() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    let whole = (fixture.metrics("run"), fixture.weights("run", 25));
    std::fs::remove_dir_all(fixture.path("run/checkpoints")).unwrap();
    succeed(&mut resume(&fixture, "run"));
    assert_eq!((fixture.metrics("run"), fixture.weights("run", 25)), whole);
}

#[test]
fn a_broken_checkpoint_is_passed_over() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "2"]));
    let weights = fixture.weights("run", 50);
    let newest = fixture.path("run/checkpoints/step-000000050/model.safetensors");
    std::fs::write(&newest, &weights[..weights.len() / 2]).unwrap();
    let printed = succeed(&mut resume(&fixture, "run"));
    assert!(printed.contains("checksum mismatch") && printed.contains("resumed after step 25"), "{printed}");
    assert_eq!(fixture.weights("run", 50), weights);
}

#[test]
fn another_configuration_or_other_data_is_refused() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    let printed = refused(resume(&fixture, "run").args(["--batch-size", "16"]));
    assert!(printed.contains("batch_size was 8, now 16"), "{printed}");
    let printed = refused(resume(&fixture, "run").arg("--shards").arg(fixture.path("val")));
    assert!(printed.contains("the training shards are not those that it began with"), "{printed}");
    let printed = refused(resume(&fixture, "run").arg("--val-shards").arg(fixture.path("val")));
    assert!(printed.contains("val_shards was [], now"), "{printed}");
    let (val, train) = (fixture.path("val"), fixture.path("train"));
    succeed(fixture.train("judged", &["--epochs", "1", "--knn-every", "1"]).arg("--val-shards").arg(&val));
    let printed = refused(resume(&fixture, "judged").arg("--val-shards").arg(&train));
    assert!(printed.contains("the validation shards are not those that it began with"), "{printed}");
    let printed = refused(&mut resume(&fixture, "no-such-run"));
    assert!(printed.contains("holds no run"), "{printed}");
}

#[test]
fn shards_that_have_moved_are_remembered() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "1"]));
    std::fs::rename(fixture.path("train"), fixture.path("moved")).unwrap();
    let printed = refused(&mut resume(&fixture, "run"));
    let expected = format!("error: run {}: its training shards are gone: ", fixture.path("run").display());
    assert!(printed.contains(&expected) && printed.contains("; --shards says where"), "{printed}");
    succeed(resume(&fixture, "run").arg("--shards").arg(fixture.path("moved")));
    let printed = succeed(&mut resume(&fixture, "run"));
    assert!(printed.contains("finished: 1 of 1 epoch done (25 steps)"), "{printed}");
}

pub(crate) fn resume(fixture: &Fixture, run: &str) -> Command {
    let mut command = simsiam();
    command.args(["train", "--resume"]).arg(fixture.path(run));
    command
}

/// Whether hangups are ignored, as under `nohup`.
#[cfg(unix)]
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    u64::from_str_radix(ignored.trim(), 16).is_ok_and(|signals| signals & 1 == 1)
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Another one each time.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let seed = RandomState::new().build_hasher().finish();
    println!("seed of the kills' moments: {seed}");
    seed
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn wait_for(path: &Path, child: &mut Child) {
    let since = Instant::now();
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before {} was there", path.display());
        assert!(since.elapsed() < Duration::from_secs(120), "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
