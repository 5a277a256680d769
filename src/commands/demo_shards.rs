//! The demo's data: drawn and packed on first use, found again later.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use simsiam_pipeline::pack::{PackOptions, pack};

use crate::console::{Console, thousands};
use crate::demo::{self, DemoConfig};

/// Where the demo's data lies, in the current folder.
const DIR: &str = "demo-data";

/// Patterns of the training and the validation shards.
///
/// # Errors
/// If images or shards cannot be written.
pub(super) fn prepare(console: &Console) -> Result<(Vec<String>, Vec<String>)> {
    let (dir, config) = (Path::new(DIR), DemoConfig::default());
    let bar = console.bar(config.images() as u64, 0, "{wide_bar} {pos}/{len} demo images");
    let images = demo::generate(dir, &config, &mut |done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();

    let (shards, partial) = (dir.join("shards"), dir.join("shards.partial"));
    let lock = dir.join("shards.lock");
    let _held_until_return = demo::hold(&lock).with_context(|| format!("cannot lock {}", lock.display()))?;
    if !shards.is_dir() {
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        for (source, prefix) in [(&images.train, "train"), (&images.val, "val")] {
            let options = PackOptions { prefix: prefix.into(), ..PackOptions::default() };
            pack(source, &partial.join(prefix), &options, &mut |_| ())?;
        }
        fs::rename(&partial, &shards).with_context(|| format!("cannot name {}", shards.display()))?;
        console.line(format_args!(
            "made {} procedural images for the demo, as JPEG files and shards, in {DIR}",
            thousands(config.images() as u64)
        ));
    }
    let pattern = |part: &str| vec![shards.join(part).join("*.tar").to_string_lossy().into_owned()];
    Ok((pattern("train"), pattern("val")))
}
