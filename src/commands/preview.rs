//! `simsiam preview`: what training sees at a step, as a page or a picture.

use std::ffi::OsStr;

use anyhow::Result;

use crate::cli::PreviewArgs;
use crate::commands::train::with_preset;
use crate::config::{Overrides, ShardFlags, TrainConfig};
use crate::console::{Console, counted};
use crate::data::Data;
use crate::error::InputError;
use crate::evaluate::subject::{CheckpointChoice, Subject};
use crate::files::write_whole;
use crate::preview::Preview;
use crate::preview::page::page;
use crate::preview::sheet::sheet;

/// Writes the file, and says what it shows.
///
/// # Errors
/// If the input cannot work, the images cannot be read, or the file cannot be written.
pub fn run(args: &PreviewArgs, console: &Console) -> Result<()> {
    let is_page = match args.out.extension().and_then(OsStr::to_str) {
        Some("html") => true,
        Some("png") => false,
        _ => {
            let text = format!("--out {}: must end with .html or .png", args.out.display());
            return Err(InputError::new(text).into());
        }
    };
    let (config, data) = open(args, console)?;
    let steps_per_epoch = data.steps_per_epoch(&config)?;
    let step = match (args.step, args.epoch) {
        (Some(step), _) => step,
        (None, Some(epoch)) => (epoch - 1).saturating_mul(steps_per_epoch).saturating_add(1),
        (None, None) => 1,
    };
    let last = config.epochs * steps_per_epoch;
    if step > last {
        let text = format!("step {step} is beyond the last, {last}, of {}", counted(config.epochs, "epoch"));
        return Err(InputError::new(text).into());
    }
    let preview = Preview::of_step(&config, &data, step, args.count)?;
    let bytes = if is_page { page(&preview)?.into_bytes() } else { sheet(&preview).to_png()? };
    write_whole(&args.out, &bytes)?;
    console.line(format_args!(
        "{} of step {step} (epoch {}) in {}",
        counted(preview.images.len() as u64, "image"),
        preview.epoch,
        args.out.display()
    ));
    Ok(())
}

/// Images of the smallest batch.
const FEWEST_IMAGES: usize = 2;

/// The configuration, and the data that it names.
fn open(args: &PreviewArgs, console: &Console) -> Result<(TrainConfig, Data)> {
    let given = args.overrides.clone().over_file(args.config.as_deref())?;
    if let Some(run) = &args.run {
        // A run that has no checkpoint yet has a configuration.
        let subject =
            Subject::load(run, None).or_else(|_| Subject::load(run, Some(CheckpointChoice::Untrained)))?;
        let config = subject.config.with(&given)?.found_from_here(run, &given, ShardFlags::TRAIN)?;
        let data = Data::open(&config, &console.open_options())?;
        if given.shards.is_none() {
            subject.check_own(&data.train.shards, "--shards")?;
        }
        return Ok((config, data));
    }
    if given.shards.is_none() {
        return Err(InputError::new("name a run, or images with --shards").into());
    }
    // The order of an epoch does not depend on the batches: without a step, as many images as are shown will do.
    let is_any_batch = given.batch_size.is_none() && args.step.is_none();
    let batch_size = if is_any_batch { Some(FEWEST_IMAGES) } else { given.batch_size };
    let given = with_preset(Overrides { batch_size, ..given }, console)?;
    let mut config = TrainConfig::resolve(&given)?;
    let data = Data::open(&config, &console.open_options())?;
    if is_any_batch {
        let most = usize::try_from(data.train.len()).unwrap_or(usize::MAX);
        config.batch_size = args.count.clamp(FEWEST_IMAGES, most);
    }
    Ok((config, data))
}
