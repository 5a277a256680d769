//! Runs and shards in other folders than they were, and under names that are no text.

use std::path::Path;
use std::process::Command;

use crate::fixture::{Fixture, refused, simsiam, succeed};

fn within(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = simsiam();
    command.current_dir(folder).args(arguments);
    command
}

#[test]
fn a_run_finds_its_shards_from_another_folder() {
    let fixture = Fixture::new();
    let (here, elsewhere) = (fixture.path(""), fixture.path("images"));
    let train =
        ["train", "--shards", "train", "--val-shards", "val/*.tar", "--run-dir", "run", "--preset", "demo"];
    succeed(&mut within(&here, &[&train[..], &["--batch-size", "50", "--epochs", "1"]].concat()));
    let config = std::fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    let absolute = format!("absolute_shards = [\"{}\"]", here.join("train").display());
    assert!(config.contains("\nshards = [\"train\"]\n") && config.contains(&absolute), "{config}");

    let run = fixture.path("run");
    let run = run.to_str().unwrap();
    for arguments in [
        &["train", "--resume", run][..],
        &["eval", run, "--only", "knn"],
        &["embed", run, "--out", "features.npy"],
        // Its configuration for another run.
        &["train", "--config", &format!("{run}/config.toml"), "--run-dir", "again"],
    ] {
        succeed(&mut within(&elsewhere, arguments));
    }
    let again = std::fs::read_to_string(fixture.path("run/config.toml")).unwrap();
    assert_eq!(again, config, "what was typed is still there");

    // Both move with the folder: what was typed means the same there.
    std::fs::create_dir(fixture.path("moved")).unwrap();
    for name in ["run", "train", "val"] {
        std::fs::rename(fixture.path(name), fixture.path("moved").join(name)).unwrap();
    }
    succeed(&mut within(&fixture.path("moved"), &["eval", "run", "--only", "knn"]));
    for (arguments, expected) in [
        (&["eval", "moved/run"][..], "run moved/run: its training shards are gone: "),
        (&["eval", "moved/run", "--train-shards", "moved/train"], "validation shards are gone: "),
        (&["embed", "moved/run", "--out", "x.npy"], "; --shards says where they are now"),
        (
            &["embed", "moved/run", "--out", "x.npy", "--shards", "nowhere.tar"],
            "error: nowhere.tar: no such file",
        ),
    ] {
        let printed = refused(&mut within(&here, arguments));
        assert!(printed.contains(expected), "{arguments:?}: {printed}");
    }
    succeed(&mut within(&here, &["embed", "moved/run", "--out", "x.npy", "--shards", "moved/val"]));

    // Other images under the names of the run's own.
    let moved = fixture.path("moved");
    std::fs::rename(moved.join("train"), moved.join("elsewhere")).unwrap();
    std::fs::rename(moved.join("val"), moved.join("train")).unwrap();
    std::fs::rename(moved.join("elsewhere"), moved.join("val")).unwrap();
    for arguments in [&["eval", "run", "--only", "knn"][..], &["embed", "run", "--out", "x.npy"]] {
        let printed = refused(&mut within(&moved, arguments));
        assert!(
            printed.contains("its training shards are no longer those that it was trained on"),
            "{printed}"
        );
    }
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_work_or_are_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let fixture = Fixture::new();
    let name = |name: &[u8]| fixture.path("").join(OsStr::from_bytes(name));
    let (shards, run) = (name(b"caf\xe9"), name(b"run\xff"));
    std::fs::create_dir(&shards).unwrap();
    succeed(simsiam().arg("pack").arg(fixture.path("images/val")).arg(&shards));
    // The folder's own name cannot be remembered by a run.
    for command in [
        simsiam().arg("inspect").arg(&shards),
        simsiam().arg("train").arg("--shards").arg(&shards),
        simsiam().arg("embed").arg(&run).args(["--out", "x.npy", "--shards"]).arg(&shards),
    ] {
        let printed = refused(command);
        assert!(printed.contains("\\xE9\" is not UTF-8"), "{printed}");
    }
    // Shards in a folder may have any names, and so may runs and what is made of them.
    std::fs::create_dir(fixture.path("any")).unwrap();
    std::fs::rename(shards.join("train-000.tar"), name(b"any/\xe9.tar")).unwrap();
    std::fs::rename(shards.join("classes.txt"), fixture.path("any/classes.txt")).unwrap();
    let any = fixture.path("any");
    let printed = refused(simsiam().arg("inspect").arg(any.join("*.tar")));
    assert!(printed.contains("name is not UTF-8; name the folder instead"), "{printed}");
    assert!(succeed(simsiam().arg("inspect").arg(&any)).contains("samples   50 ("));
    let mut train = simsiam();
    train.args(["train", "--preset", "demo", "--batch-size", "10", "--epochs", "1", "--shards"]).arg(&any);
    succeed(train.arg("--run-dir").arg(&run));
    succeed(simsiam().arg("train").arg("--resume").arg(&run));
    succeed(simsiam().arg("eval").arg(&run).args(["--probe-epochs", "2"]));
    assert_eq!(std::fs::read_dir(run.join("eval")).unwrap().count(), 4);
    succeed(simsiam().arg("embed").arg(&run).arg("--out").arg(name(b"e\xff.npy")));
    succeed(simsiam().arg("embed").arg(&run).arg("--out").arg(name(b"e\xff.safetensors")));
    let weights = name(b"w\xff.safetensors");
    succeed(simsiam().arg("export").arg(&run).args(["--format", "torch", "--out"]).arg(&weights));
    succeed(simsiam().arg("import").arg(&weights).arg("--run-dir").arg(name(b"imported\xff")));
}
