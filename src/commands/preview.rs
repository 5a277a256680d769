//! `simsiam preview`: what training sees at a step, as a page or a picture.

use std::ffi::OsStr;

use anyhow::Result;

use crate::checkpoint::CheckpointDir;
use crate::cli::PreviewArgs;
use crate::commands::train::with_preset;
use crate::config::{ShardFlags, TrainConfig};
use crate::console::{Console, counted};
use crate::data::Data;
use crate::error::InputError;
use crate::evaluate::subject::{CheckpointChoice, Subject};
use crate::files::write_whole;
use crate::preview::Preview;
use crate::preview::page::page;
use crate::preview::sheet::sheet;
use crate::record::RunRecord;

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
    let preview = match args.step {
        Some(step) => Preview::of_step(&config, &data, step, args.count)?,
        None => Preview::of_epoch(&config, &data, step - 1, args.count)?,
    };
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
        let has_none = RunRecord::is_run(run) && CheckpointDir::new(run).is_empty()?;
        let subject = Subject::load(run, has_none.then_some(CheckpointChoice::Untrained))?;
        let options = console.open_options();
        let config = subject.settings(run, &given, ShardFlags::TRAIN, &options)?;
        let data = Data::open(&config, &options)?;
        if given.shards.is_none() {
            subject.check_own(&data.train.shards, "--shards")?;
        }
        return Ok((config, data));
    }
    if given.shards.is_none() {
        return Err(InputError::new("name a run, or images with --shards").into());
    }
    let given = with_preset(given, console)?;
    let config = TrainConfig::resolve(&given)?;
    if given.batch_size.is_some() || args.step.is_some() {
        let data = Data::open(&config, &console.open_options())?;
        return Ok((config, data));
    }
    // The order of an epoch does not depend on the batches: a few images may be less than one of the preset's.
    let fewest = TrainConfig { batch_size: FEWEST_IMAGES, ..config.clone() };
    let data = Data::open(&fewest, &console.open_options())?;
    let most = usize::try_from(data.train.len()).unwrap_or(usize::MAX);
    Ok((TrainConfig { batch_size: config.batch_size.min(most), ..config }, data))
}
