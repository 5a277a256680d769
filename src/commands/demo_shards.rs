//! The demo's data: drawn and packed on first use, found again later.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use simsiam_pipeline::pack::{PackOptions, pack};

use crate::config::{Overrides, Preset};
use crate::console::{Console, Unit, thousands};
use crate::demo::{self, DemoConfig};
use crate::error::InputError;
use crate::interrupt::Interrupt;

/// Where the demo's data lies, in the current folder.
const DIR: &str = "demo-data";

/// Whether these are the demo's own images.
pub(super) fn are_own(patterns: &[String]) -> bool {
    patterns.iter().all(|pattern| Path::new(pattern).starts_with(DIR))
}

/// Settings that name no shards, with the demo's.
///
/// # Errors
/// If they name another preset or validation shards; or as [`prepare`].
pub(super) fn in_place_of_none(
    settings: Overrides,
    interrupt: &Interrupt,
    console: &Console,
) -> Result<Overrides> {
    if settings.preset.is_some_and(|preset| preset != Preset::Demo) {
        return Err(InputError::new("no shards: --shards names them, or --preset demo makes some").into());
    }
    if settings.val_shards.as_ref().is_some_and(|shards| !shards.is_empty()) {
        return Err(InputError::new("--val-shards without --shards: the demo has its own").into());
    }
    let (shards, val_shards) = prepare(interrupt, console)?;
    Ok(Overrides {
        preset: Some(Preset::Demo),
        shards: Some(shards),
        val_shards: Some(val_shards),
        ..settings
    })
}

/// Patterns of the training and the validation shards.
///
/// # Errors
/// If images or shards cannot be written, or it is time to stop.
fn prepare(interrupt: &Interrupt, console: &Console) -> Result<(Vec<String>, Vec<String>)> {
    let (dir, config) = (Path::new(DIR), DemoConfig::default());
    let total = config.images() as u64;
    let phase = console.phase("drawing the demo", total, Unit::Things("images"));
    let images = demo::generate(dir, &config, interrupt, &mut |done, _| phase.set_position(done as u64))?;
    drop(phase);

    let (shards, partial) = (dir.join("shards"), dir.join("shards.partial"));
    let pattern = |part: &str| vec![shards.join(part).join("*.tar").to_string_lossy().into_owned()];
    let patterns = (pattern("train"), pattern("val"));
    // What is there already may be another's.
    if shards.is_dir() {
        return Ok(patterns);
    }
    let lock = dir.join("shards.lock");
    let _held_until_return = demo::hold(&lock).with_context(|| format!("cannot lock {}", lock.display()))?;
    // Another process may have made them meanwhile.
    if !shards.is_dir() {
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        for (source, prefix) in [(&images.train, "train"), (&images.val, "val")] {
            let options =
                PackOptions { prefix: prefix.into(), stop: interrupt.flag(), ..PackOptions::default() };
            let phase = console.phase("packing the demo", total, Unit::Things("images"));
            pack(&source.to_string_lossy(), &partial.join(prefix), &options, &mut |progress| {
                phase.set_length(progress.total);
                phase.set_position(progress.done);
            })?;
        }
        fs::rename(&partial, &shards).with_context(|| format!("cannot name {}", shards.display()))?;
        console.line(format_args!(
            "made {} procedural images for the demo, as JPEG files and shards, in {DIR}",
            thousands(total)
        ));
    }
    Ok(patterns)
}
