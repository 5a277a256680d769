//! Tells the program where it comes from: git's commit, the compiler, the target. See `src/provenance.rs`.
//!
//! It runs again when the sources change, and not at each commit: a commit of other files rebuilds nothing.

use std::env;
use std::path::Path;
use std::process::Command;

/// What the program is built from.
const SOURCES: [&str; 8] = [
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "model/Cargo.toml",
    "model/src",
    "pipeline/Cargo.toml",
    "pipeline/src",
];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let rustc = env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    for (name, value) in [
        ("SIMSIAM_COMMIT", commit()),
        ("SIMSIAM_COMPILER", rustc),
        ("SIMSIAM_TARGET", env::var("TARGET").ok()),
    ] {
        println!("cargo::rustc-env={name}={}", value.as_deref().unwrap_or("unknown"));
    }
}

/// The commit, with `-modified` where the sources differ from it; `None` outside the project's own repository, as in an unpacked archive.
fn commit() -> Option<String> {
    let top = output("git", &["rev-parse", "--show-toplevel"])?;
    let here = env::current_dir().ok()?.canonicalize().ok()?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    let commit = output("git", &["rev-parse", "HEAD"])?;
    let changes =
        output("git", &[&["--no-optional-locks", "status", "--porcelain", "--"], &SOURCES[..]].concat())?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-modified") })
}

/// What a program prints, without the line's end; `None` if it fails or cannot be run.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
