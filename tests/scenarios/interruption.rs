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
    assert!(printed.contains("goes on after step"), "{printed}");

    assert_eq!(fixture.metrics("killed"), fixture.metrics("whole"));
    let steps = 2 * (180 / 8);
    assert_eq!(fixture.weights("killed", steps), fixture.weights("whole", steps));
}

#[test]
#[cfg(unix)]
fn an_interrupt_finishes_the_step_saves_and_exits_130() {
    let fixture = Fixture::new();
    let mut child = spawn(&mut fixture.train("run", &["--epochs", "50"]));
    wait_for(&fixture.path("run/checkpoints/step-000000025"), &mut child);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains("go on with: simsiam train --resume"), "{}", text(&output));
    let done = fixture.metrics("run").iter().filter_map(|line| line["step"].as_u64()).max().unwrap();
    assert!(fixture.path(&format!("run/checkpoints/step-{done:09}")).is_dir(), "saved at step {done}");
}

#[test]
fn a_broken_checkpoint_is_passed_over() {
    let fixture = Fixture::new();
    succeed(&mut fixture.train("run", &["--epochs", "2"]));
    let weights = fixture.weights("run", 50);
    let newest = fixture.path("run/checkpoints/step-000000050/model.safetensors");
    std::fs::write(&newest, &weights[..weights.len() / 2]).unwrap();
    let printed = succeed(&mut resume(&fixture, "run"));
    assert!(printed.contains("checksum mismatch") && printed.contains("goes on after step 25"), "{printed}");
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
    let printed = refused(&mut resume(&fixture, "no-such-run"));
    assert!(printed.contains("holds no run"), "{printed}");
}

fn resume(fixture: &Fixture, run: &str) -> Command {
    let mut command = simsiam();
    command.args(["train", "--resume"]).arg(fixture.path(run));
    command
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(path: &Path, child: &mut Child) {
    let since = Instant::now();
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before {} was there", path.display());
        assert!(since.elapsed() < Duration::from_secs(120), "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}
