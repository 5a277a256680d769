//! Where results come from: the program, the machine, the command and the data. It is in a run's folder, in its checkpoints and in what is
//! exported from them.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::LazyLock;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use serde::{Deserialize, Serialize};
use simsiam_pipeline::shards::Fingerprint;

use crate::instructions;
use crate::process::cores;

/// What one process contributed to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The program's version.
    pub version: String,
    /// Git's commit, with `-modified` where the sources differed from it; `unknown` of a program built outside a clone.
    pub commit: String,
    /// Optional features that it was built with.
    pub features: Vec<String>,
    /// The compiler.
    pub compiler: String,
    /// The target that it was compiled for.
    pub target: String,
    /// The processor's name; `unknown` where the system does not say.
    pub processor: String,
    /// Which of its instructions the kernels use: `scalar`, `avx2`, `avx512`, `avx512bf16` or `amx`.
    pub instructions: String,
    /// Cores that the process may use: its share, of several on its machine.
    pub cores: usize,
    /// The command line.
    pub command: Vec<String>,
    /// When it began to train, UTC, RFC 3339.
    pub started: String,
    /// Processes that trained together.
    #[serde(default = "one")]
    pub processes: usize,
    /// Steps that the run had done by then.
    #[serde(default)]
    pub step: u64,
    /// Fingerprint of the training images.
    pub data: Option<Fingerprint>,
}

impl Provenance {
    /// This process, as far as it is known before there is data.
    pub fn now() -> Self {
        let lossy = |argument: std::ffi::OsString| argument.to_string_lossy().into_owned();
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("SIMSIAM_COMMIT").into(),
            features: features().into_iter().map(str::to_owned).collect(),
            compiler: env!("SIMSIAM_COMPILER").into(),
            target: env!("SIMSIAM_TARGET").into(),
            processor: processor(),
            instructions: instructions::in_use().into(),
            cores: cores(),
            command: env::args_os().map(lossy).collect(),
            started: format_rfc3339_seconds(SystemTime::now()).to_string(),
            processes: 1,
            step: 0,
            data: None,
        }
    }

    /// `simsiam 0.1.0 (commit ...; features cuda)`.
    pub fn program(&self) -> String {
        format!("simsiam {} (commit {}; features {})", self.version, self.commit, self.features_text())
    }

    fn features_text(&self) -> String {
        if self.features.is_empty() { "none".into() } else { self.features.join(", ") }
    }

    /// The entries of an exported file's metadata: (key, value). Paths are cut down to their last part, since the file may go anywhere.
    pub fn metadata(&self) -> [(String, String); 7] {
        let command: Vec<_> = self.command.iter().map(|argument| without_folders(argument)).collect();
        [
            ("program", self.program()),
            ("compiler", format!("{}, {}", self.compiler, self.target)),
            ("processor", self.processor.clone()),
            ("instructions", self.instructions.clone()),
            ("cores", self.cores.to_string()),
            ("command", command.join(" ")),
            ("started", self.started.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    }
}

/// What `simsiam --version` prints after the program's name.
pub fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let now = Provenance::now();
        let features = now.features_text();
        let Provenance { version, commit, compiler, target, processor, instructions, cores, .. } = now;
        format!(
            "{version}\ncommit: {commit}\nfeatures: {features}\ncompiler: {compiler}\ntarget: {target}\n\
             processor: {processor}\ninstructions: {instructions}\ncores: {cores}"
        )
    });
    &TEXT
}

fn one() -> usize {
    1
}

fn features() -> Vec<&'static str> {
    [("cuda", cfg!(feature = "cuda")), ("mpi", cfg!(feature = "mpi")), ("remote", cfg!(feature = "remote"))]
        .into_iter()
        .filter_map(|(name, is_on)| is_on.then_some(name))
        .collect()
}

/// As the system names it. Only the first lines are read: the whole file is long where there are many cores.
fn processor() -> String {
    let lines = File::open("/proc/cpuinfo").map(BufReader::new).map(BufRead::lines);
    let name = lines.into_iter().flatten().map_while(Result::ok).find_map(|line| {
        let (key, name) = line.split_once(':')?;
        (key.trim() == "model name").then(|| name.trim().to_owned())
    });
    name.unwrap_or_else(|| "unknown".into())
}

/// An argument with the last part of a path or an address in place of the whole.
fn without_folders(argument: &str) -> String {
    if argument.contains(char::is_whitespace) {
        return format!("'{argument}'"); // a condition or a rule
    }
    let (flag, value) = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => (format!("{flag}="), value),
        _ => (String::new(), argument),
    };
    let value = if value.contains("://") { value.split('?').next().unwrap_or_default() } else { value };
    let last = value.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    format!("{flag}{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_names_no_folder_of_the_machine() {
        let arguments = [
            ("/home/me/bin/simsiam", "simsiam"),
            ("--shards=/data/photos/", "--shards=photos"),
            ("s3://bucket/train-{000..007}.tar", "train-{000..007}.tar"),
            ("https://host/a.tar?signature=secret", "a.tar"),
            ("key like 'a*/*'", "'key like 'a*/*''"),
            ("0.5", "0.5"),
        ];
        for (argument, expected) in arguments {
            assert_eq!(without_folders(argument), expected);
        }
    }

    #[test]
    fn the_long_version_names_all_that_a_report_of_a_fault_needs() {
        let text = long_version();
        for key in ["commit", "features", "compiler", "target", "processor", "instructions", "cores"] {
            assert!(text.contains(&format!("\n{key}: ")), "{key} in {text}");
        }
        assert!(text.starts_with(env!("CARGO_PKG_VERSION")) && text.contains("rustc 1."), "{text}");
    }
}
