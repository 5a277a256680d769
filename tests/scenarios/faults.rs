//! A machine that fails: full disks, folders that cannot be written, readers that went away.

#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::fixture::{Fixture, damage, simsiam, succeed, text};
use crate::interruption::{resume, spawn, wait_for};

/// The same command where no file grows beyond 200 KiB or so: larger than configuration and metrics, smaller than a
/// checkpoint. The system then answers as a full disk does, after a part of the bytes.
fn on_a_full_disk(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 400; exec \"$@\"", "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited
}

#[test]
fn a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_one_before() {
    let fixture = Fixture::new();
    let more = ["--epochs", "2", "--checkpoint-every", "7"];
    succeed(&mut fixture.train("whole", &more));

    let mut child = spawn(&mut fixture.train("run", &more));
    wait_for(&fixture.path("run/checkpoints/step-000000007"), &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let output = on_a_full_disk(&resume(&fixture, "run")).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("error: cannot write checkpoint ") && printed.contains("File too large"),
        "{printed}"
    );
    let checkpoints = fs::read_dir(fixture.path("run/checkpoints")).unwrap();
    let partial = checkpoints.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(partial.filter(|name| name.ends_with(".partial")).count(), 0, "the part that did fit is gone");

    succeed(&mut resume(&fixture, "run"));
    assert_eq!(fixture.metrics("run"), fixture.metrics("whole"));
    assert_eq!(fixture.weights("run", 50), fixture.weights("whole", 50));
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_any_work() {
    let fixture = Fixture::new();
    let locked = fixture.path("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(fixture.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = fixture.train("locked/run", &["--epochs", "1"]);
    if fs::metadata(&locked).unwrap().uid() == 0 {
        command.uid(65_534); // root may write anywhere: "nobody" may not
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return println!("skipped: cannot run the program as nobody: {error}"),
    };
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("error: cannot make run folder ")
            && printed.contains("locked/run: Permission denied"),
        "{printed}"
    );
}

#[test]
fn a_run_whose_output_nobody_reads_any_more_goes_on() {
    let fixture = Fixture::new();
    damage(&fixture.shard(), 512); // so that there is something to say on standard error, too
    let mut command = fixture.train("run", &["--epochs", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap().take(100)).read_line(&mut line).unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(fixture.metrics("run").iter().filter(|line| line.get("loss").is_some()).count(), 25);
    assert!(fixture.path("run/quarantine.json").is_file());

    // What was run for its output ends quietly with the reader.
    let mut command = simsiam();
    let inspect = command.arg("inspect").arg(fixture.path("train")).arg("--json");
    let mut child = inspect.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(141), ""));

    // An error goes unheard, and is an error all the same.
    let mut command = resume(&fixture, "no-such-run");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(2));
}
