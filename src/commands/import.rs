//! `simsiam import`: a run that begins with weights from elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use dfdx::prelude::Cpu;
use simsiam_model::state;

use crate::checkpoint::{Checkpoint, FORMAT, RunState};
use crate::cli::ImportArgs;
use crate::config::{Overrides, ShardFlags, TrainConfig, default_run_dir};
use crate::console::Console;
use crate::data::Data;
use crate::error::InputError;
use crate::progress::Counters;
use crate::run_dir::RunDir;
use crate::weights::foreign::{ForeignWeights, Taken};

/// Makes the run's folder with a checkpoint of step 0, and says what was taken from the file.
///
/// # Errors
/// If the file holds no encoder that fits, the configuration makes no sense, or files cannot be written.
pub fn run(args: &ImportArgs, console: &Console) -> Result<()> {
    let file = args.file.display();
    let weights = ForeignWeights::read(&args.file)?;
    let overrides = args.overrides.clone().over_file(args.config.as_deref())?;
    let mut config = configuration(&overrides, &args.file, &weights)?;
    let path = args.run_dir.clone().unwrap_or_else(|| default_run_dir(&config));
    RunDir::check_free(&path)?;
    // Without shards the run can be evaluated, embedded and exported, but not trained.
    let data = if config.shards.is_empty() {
        None
    } else {
        let here = config.found_from_here(&path, &overrides, ShardFlags::TRAIN)?;
        config.remember(&here);
        Some(open_for(&mut config, here, &overrides, console)?)
    };
    let (images, steps_per_epoch) = match &data {
        Some(data) => (data.train.shards.len() as usize, data.steps_per_epoch(&config)?),
        None => (1, 1),
    };
    let mut model = config.network(&Cpu::default(), images, steps_per_epoch);
    let arch = weights.arch;
    let Taken { heads, used, left_out } = weights
        .read_into(&mut model)
        .map_err(|error| InputError::new(format!("{file}: its {arch} does not fit: {error}")))?;
    let state = RunState {
        format: FORMAT,
        counters: Counters::default(),
        config: config.clone(),
        data: data.map(|data| data.train.shards.fingerprint()),
        part: None,
        population: None,
        quarantine: Vec::new(),
        val: None,
    };
    let checkpoint = Checkpoint { state, model: state::export(&model), optimizer: Vec::new() };
    let dir = RunDir::create(&path)?;
    // In this order: a folder with a configuration, but no checkpoint, would be trained from random weights.
    dir.checkpoints().save(&checkpoint, config.keep_checkpoints).context("the imported weights")?;
    dir.write_config(&config)?;
    let heads = if heads.is_empty() { "no heads".into() } else { heads.join(" and ") };
    console.line(format_args!("took the {arch} encoder and {heads} from {file}: {used} tensors"));
    if !left_out.is_empty() {
        console.line(format_args!("left out {} tensors: {}", left_out.len(), listed(left_out)));
    }
    console.line(format_args!(
        "run folder: {path}\nnext: simsiam eval {path} --train-shards ... --val-shards ...",
        path = path.display()
    ));
    Ok(())
}

/// Opens the shards. A batch size that nobody named, and that is larger than the data, becomes that of the data.
fn open_for(
    config: &mut TrainConfig,
    here: TrainConfig,
    given: &Overrides,
    console: &Console,
) -> Result<Data> {
    let data = Data::open(&TrainConfig { batch_size: 1, ..here }, &console.open_options())?;
    let images = data.train.len();
    if given.batch_size.is_none() && images < config.batch_size as u64 {
        config.batch_size = images as usize;
        console.line(format_args!("batch size {images}, all images (--batch-size sets another)"));
    }
    Ok(data)
}

/// Names with commas between; those that differ in a number or two only as one, with their count.
fn listed(names: Vec<String>) -> String {
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        let pattern = name.split('.').map(|part| if part.parse::<u64>().is_ok() { "*" } else { part });
        alike.entry(pattern.collect::<Vec<_>>().join(".")).or_default().push(name);
    }
    let text = |(pattern, mut names): (String, Vec<String>)| match names.len() {
        1 => names.swap_remove(0),
        count => format!("{pattern} ({count})"),
    };
    alike.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The settings of a run with this encoder: those that were given, else those of the file, else its preset's.
fn configuration(overrides: &Overrides, file: &Path, weights: &ForeignWeights) -> Result<TrainConfig> {
    let arch = weights.arch;
    if let Some(named) = overrides.arch.filter(|named| *named != arch) {
        let text = format!("{} holds a {arch}, not the {named} that --arch names", file.display());
        return Err(InputError::new(text).into());
    }
    let said = |error| InputError::new(format!("{}: {error}", file.display()));
    let of_file = weights.settings().map_err(said)?;
    let mut recipe = of_file.recipe.clone().unwrap_or_default();
    recipe.extend(overrides.recipe.clone().unwrap_or_default());
    let recipe = Some(recipe).filter(|recipe| !recipe.is_empty());
    let file = overrides.file.clone();
    let config = TrainConfig::resolve(&Overrides { recipe, file, ..overrides.over(&of_file) })?;
    config.check_size()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_numbers_are_listed_once() {
        let names = ["queue", "fc.weight", "layer1.0.bn1.n", "layer1.1.bn1.n"].map(str::to_owned);
        assert_eq!(listed(names.into()), "fc.weight, layer1.*.bn1.n (2), queue");
    }
}
