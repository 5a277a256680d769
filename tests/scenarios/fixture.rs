//! The program, a small data set for it, and what it writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use simsiam::demo::{self, DemoConfig};
use simsiam::interrupt::Interrupt;
use simsiam_pipeline::pack::{PackOptions, pack};
use tempfile::TempDir;

/// Shards of 200 training and 50 validation images of ten classes, in a folder that goes away with this value.
pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = DemoConfig { train_per_class: 20, val_per_class: 5, ..DemoConfig::default() };
        let images =
            demo::generate(&dir.path().join("images"), &config, &Interrupt::default(), &mut |_, _| ())
                .unwrap();
        for (source, name) in [(images.train, "train"), (images.val, "val")] {
            let options =
                PackOptions { shard_bytes: 128 << 10, prefix: name.into(), ..PackOptions::default() };
            pack(source.to_str().unwrap(), &dir.path().join(name), &options, &mut |_| ()).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The first training shard.
    pub(crate) fn shard(&self) -> PathBuf {
        self.path("train/train-000.tar")
    }

    /// `simsiam train` on the shards: ResNet-8, batch 8, 25 steps an epoch, no kNN, a log line each step, two checkpoints.
    pub(crate) fn train(&self, run: &str, more: &[&str]) -> Command {
        let mut command = simsiam();
        command.arg("train").args([
            "--preset",
            "demo",
            "--batch-size",
            "8",
            "--log-every",
            "1",
            "--knn-every",
            "0",
            "--keep-checkpoints",
            "2",
        ]);
        command.arg("--shards").arg(self.path("train")).arg("--run-dir").arg(self.path(run)).args(more);
        command
    }

    /// The lines of a run's `metrics.jsonl`, without what depends on the clock.
    pub(crate) fn metrics(&self, run: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            for key in ["images_per_s", "data_wait", "pipeline", "time"] {
                line.as_object_mut().unwrap().remove(key);
            }
            line
        });
        lines.collect()
    }

    /// The weights of a run's checkpoint at `step`, byte for byte.
    pub(crate) fn weights(&self, run: &str, step: u64) -> Vec<u8> {
        let path = format!("checkpoints/step-{step:09}/model.safetensors");
        std::fs::read(self.path(run).join(path)).unwrap()
    }
}

pub(crate) fn simsiam() -> Command {
    Command::new(env!("CARGO_BIN_EXE_simsiam"))
}

/// Runs to the end and expects success; what it printed.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", text(&output));
    text(&output)
}

/// Runs to the end and expects a refusal with exit code 2; what it printed.
pub(crate) fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}\n{}", text(&output));
    text(&output)
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Flips a few bytes in the middle of a file from `offset` on.
pub(crate) fn damage(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset..offset + 8].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(path, bytes).unwrap();
}
