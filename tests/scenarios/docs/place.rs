//! A folder with what the documentation's commands name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use simsiam::demo::{self, DemoConfig};
use simsiam::interrupt::Interrupt;
use simsiam_pipeline::pack::{PackOptions, pack};
use tempfile::TempDir;

use crate::fixture::{simsiam, succeed};

/// What the pages call the images, shards, runs and files of [`Drawn`].
const NAMES: [(&str, &str); 15] = [
    ("photos", "images/train"),
    ("more-photos", "images/val"),
    ("val", "images/val"),
    ("shards", "train"),
    ("data/classes.txt", "train/classes.txt"),
    ("data/train-000.tar", "train/train-000.tar"),
    ("data/test-000.tar", "test/test-000.tar"),
    ("cifar10/classes.txt", "train/classes.txt"),
    ("cifar10/train-000.tar", "train/train-000.tar"),
    ("cifar10/test-000.tar", "test/test-000.tar"),
    ("a/train-000.tar", "train/train-000.tar"),
    ("b.tar", "test/test-000.tar"),
    ("RUN", "run"),
    ("runs/001-demo-resnet8", "run"),
    ("FILE.safetensors", "encoder.safetensors"),
];

/// Drawn images of ten classes, shards of them, a short run on them and its encoder.
pub(super) struct Drawn {
    dir: TempDir,
}

impl Drawn {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let config = DemoConfig { train_per_class: 12, val_per_class: 4, ..DemoConfig::default() };
        let images = demo::generate(&path("images"), &config, &Interrupt::default(), &mut |_, _| ()).unwrap();
        for (source, name) in [(&images.train, "train"), (&images.val, "test")] {
            let options = PackOptions { prefix: name.into(), ..PackOptions::default() };
            pack(source.to_str().unwrap(), &path(name), &options, &mut |_| ()).unwrap();
        }
        let settings = ["--preset", "demo", "--epochs", "1", "--batch-size", "8"];
        let mut train = simsiam();
        train.arg("train").args(settings).arg("--shards").arg(path("train"));
        succeed(train.arg("--run-dir").arg(path("run")));
        let mut export = simsiam();
        export.arg("export").arg(path("run")).args(["--format", "torch", "--out"]);
        succeed(export.arg(path("encoder.safetensors")));
        Self { dir }
    }

    /// A new folder in which the pages' names lead to these files, but for what a page makes by itself.
    pub(super) fn place(&self, made: &[&str]) -> PathBuf {
        let place = tempfile::tempdir_in(&self.dir).unwrap().keep();
        for (link, target) in NAMES.iter().filter(|(link, _)| !made.contains(link)) {
            let link = place.join(link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(self.dir.path().join(target), link).unwrap();
        }
        // A copy: results are written beside an encoder.
        let encoder = Path::new("zoo/simsiam-resnet18-cifar-w16-cifar10.safetensors");
        fs::create_dir(place.join("zoo")).unwrap();
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(encoder), place.join(encoder)).unwrap();
        place
    }
}
