//! Small shards to test on.

use std::fs;
use std::path::{Path, PathBuf};

use simsiam_pipeline::shards::{Access, OpenOptions, ShardError, ShardSet, ShardWriter};
use tempfile::TempDir;

/// A folder for shards, and a cache directory of its own.
pub(crate) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let fixture = Fixture { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(fixture.shards()).unwrap();
        fixture
    }

    pub(crate) fn shards(&self) -> PathBuf {
        self.dir.path().join("shards")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.shards().join(name)
    }

    /// Writes a shard of `count` samples whose bytes are told apart.
    pub(crate) fn shard(&self, name: &str, count: u32) -> PathBuf {
        let path = self.path(name);
        let mut writer = ShardWriter::create(&path).unwrap();
        for i in 0..count {
            writer.append(&format!("n{i:04}"), "jpg", &contents(i), Some(i % 10)).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    /// Writes a shard with these members.
    pub(crate) fn members(&self, name: &str, members: &[(&str, &[u8])]) -> PathBuf {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, contents) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *contents).unwrap();
        }
        let path = self.path(name);
        fs::write(&path, builder.into_inner().unwrap()).unwrap();
        path
    }

    /// Opens all shards of the folder.
    pub(crate) fn open(&self) -> Result<ShardSet, ShardError> {
        self.open_pattern(&self.shards())
    }

    pub(crate) fn open_pattern(&self, pattern: &Path) -> Result<ShardSet, ShardError> {
        self.open_as(pattern, Access::Mapped)
    }

    pub(crate) fn open_as(&self, pattern: &Path, access: Access) -> Result<ShardSet, ShardError> {
        let options = OpenOptions { cache_dir: Some(self.cache()), access, ..Default::default() };
        ShardSet::open(&[pattern.to_str().unwrap()], &options)
    }

    /// The error's text, with the folder's path left out.
    pub(crate) fn error(&self) -> String {
        let prefix = format!("{}/", self.shards().display());
        self.open().unwrap_err().to_string().replace(&prefix, "")
    }
}

/// The bytes of sample `i`: 700 to 7,700 of them.
pub(crate) fn contents(i: u32) -> Vec<u8> {
    let length = 700 + (i as usize * 1_000) % 7_001;
    (0..length).map(|at| (at as u32 * 31 + i * 17 + 1) as u8 | 1).collect()
}

/// A small JPEG of noise.
pub(crate) fn jpeg(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let pixel = |x, y| image::Rgb([0, 1, 2].map(|c| (x * (seed + 3) + y * 7 + c * 50 + seed * 31) as u8));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_fn(width, height, pixel).write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}
