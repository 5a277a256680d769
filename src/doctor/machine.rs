//! What this machine has, and whether it is enough: looked at before any device is.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use simsiam_model::backend::cpu::Instructions;
use simsiam_pipeline::{available_memory, shards};

use crate::instructions;
use crate::provenance::Provenance;

/// Memory under which the smallest preset does not train, in bytes: what `train --preset demo` takes, twice.
const LEAST_MEMORY: u64 = 512 << 20;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// What was found.
    pub found: String,
    /// What that means.
    pub outcome: Outcome,
}

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// It works, but less well than it could.
    Note,
    /// Something will not work.
    Fault,
}

impl Check {
    fn new(name: &'static str, outcome: Outcome, found: impl Into<String>) -> Self {
        Self { name, found: found.into(), outcome }
    }

    /// A device that is not there, and why: the CPU trains, too.
    pub fn without_device(name: &'static str, why: impl Into<String>) -> Self {
        Self::new(name, Outcome::Note, format!("none: {}", why.into()))
    }
}

/// Program, processor, memory, and the folders that are written to.
pub fn checks() -> Vec<Check> {
    let now = Provenance::now();
    let program = format!("{}, {}, {}", now.program(), now.compiler, now.target);
    vec![
        Check::new("program", Outcome::Fine, program),
        Check::new("processor", Outcome::Fine, now.processor),
        instructions(instructions::in_use(), Instructions::detected()),
        cores(now.cores),
        memory(available_memory()),
        current_folder(env::current_dir()),
        cache_folder(shards::default_cache_dir()),
    ]
}

fn instructions(in_use: &str, detected: Instructions) -> Check {
    let best = instructions::name_of(detected);
    match detected {
        Instructions::Scalar => Check::new(
            "instructions",
            Outcome::Note,
            "scalar: without AVX2, training takes many times as long",
        ),
        _ if in_use != best => {
            let found = format!("{in_use}, because of {}; the processor has {best}", instructions::VARIABLE);
            Check::new("instructions", Outcome::Note, found)
        }
        _ => Check::new("instructions", Outcome::Fine, best),
    }
}

fn cores(cores: usize) -> Check {
    match cores {
        1 => Check::new("cores", Outcome::Note, "1: images are decoded and the model is trained in turn"),
        cores => Check::new("cores", Outcome::Fine, cores.to_string()),
    }
}

fn memory(available: Option<u64>) -> Check {
    let Some(available) = available else {
        return Check::new("memory", Outcome::Note, "unknown: the system does not say how much is free");
    };
    let found = format!("{:.1} GiB available", available as f64 / f64::from(1 << 30));
    let outcome = if available < LEAST_MEMORY { Outcome::Fault } else { Outcome::Fine };
    Check::new("memory", outcome, found)
}

fn current_folder(folder: io::Result<PathBuf>) -> Check {
    match folder.and_then(|folder| write_in(&folder).map(|()| folder)) {
        Ok(folder) => {
            Check::new("current folder", Outcome::Fine, format!("{} is writable", folder.display()))
        }
        Err(error) => {
            let found = format!("not writable ({error}): `train` needs --run-dir with a folder that is");
            Check::new("current folder", Outcome::Note, found)
        }
    }
}

fn cache_folder(folder: Option<PathBuf>) -> Check {
    let note = |why: String| {
        let found = format!("{why}: shards in read-only folders are indexed at every start");
        Check::new("cache folder", Outcome::Note, found)
    };
    let Some(folder) = folder else { return note("neither XDG_CACHE_HOME nor HOME is set".into()) };
    match fs::create_dir_all(&folder).and_then(|()| write_in(&folder)) {
        Ok(()) => Check::new("cache folder", Outcome::Fine, format!("{} is writable", folder.display())),
        Err(error) => note(format!("{} is not writable ({error})", folder.display())),
    }
}

/// Writes a file there and removes it.
fn write_in(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_vectors_or_with_a_limit_is_noted() {
        let outcome = |in_use: &str, detected| instructions(in_use, detected).outcome;
        assert_eq!(outcome("avx2", Instructions::Avx2), Outcome::Fine);
        assert_eq!(outcome("scalar", Instructions::Scalar), Outcome::Note);
        let limited = instructions("avx2", Instructions::Avx512);
        assert_eq!(limited.outcome, Outcome::Note);
        assert_eq!(limited.found, "avx2, because of SIMSIAM_INSTRUCTIONS; the processor has avx512");
    }

    #[test]
    fn little_memory_is_a_fault() {
        assert_eq!(memory(Some(LEAST_MEMORY - 1)).outcome, Outcome::Fault);
        assert_eq!(memory(Some(3 << 30)), Check::new("memory", Outcome::Fine, "3.0 GiB available"));
        assert_eq!(memory(None).outcome, Outcome::Note);
    }

    #[test]
    fn folders_are_tried_by_writing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(current_folder(Ok(dir.path().to_owned())).outcome, Outcome::Fine);
        assert_eq!(cache_folder(Some(dir.path().join("new/cache"))).outcome, Outcome::Fine);
        assert!(dir.path().join("new/cache").read_dir().unwrap().next().is_none(), "nothing stays there");
        assert_eq!(current_folder(Ok(dir.path().join("gone"))).outcome, Outcome::Note);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let check = cache_folder(Some(file.join("cache")));
        assert_eq!(check.outcome, Outcome::Note);
        assert!(check.found.contains("file/cache is not writable"), "{}", check.found);
        assert_eq!(cache_folder(None).outcome, Outcome::Note);
    }
}
