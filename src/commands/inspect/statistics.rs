//! `simsiam inspect --statistics`: mean and standard deviation of the pixels, as a recipe.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use simsiam_pipeline::inspect::InspectOptions;
use simsiam_pipeline::sampler::SampleSet;
use simsiam_pipeline::{Dtype, Format, Layout, OnBadSample, PipelineConfig, Quarantine, ShardSet};

use crate::cli::InspectArgs;
use crate::config::{Preset, TrainConfig};
use crate::console::{Console, Unit, counted};
use crate::error::InputError;
use crate::inspect::statistics::PixelSums;
use crate::interrupt::Interrupt;

/// Images a batch: bytes of views take 2.4 MB for each sixteen of 224 x 224.
const BATCH: usize = 16;

/// Prints the statistics, and nothing else, on standard output; true if every sample is good.
///
/// # Errors
/// If the shards cannot be opened, no sample can be used, or a channel has one value everywhere.
pub(super) fn run(args: &InspectArgs, console: &Console) -> Result<bool> {
    let shards = Arc::new(ShardSet::open(&args.shards, &args.source.options(console.open_options()))?);
    for warning in shards.warnings() {
        tracing::warn!("{warning}");
    }
    let interrupt = Interrupt::listen()?;
    let preset = args.preset.unwrap_or_else(|| Preset::for_images(&shards));
    let chosen = args.source.choice.chosen(&shards)?;
    let asked = chosen.as_ref().map_or(shards.len(), SampleSet::len);
    let config = PipelineConfig {
        chosen,
        format: Format { layout: Layout::Nchw, dtype: Dtype::U8 },
        workers: InspectOptions::default().threads.min(PipelineConfig::MAX_WORKERS),
        ..PipelineConfig::evaluation(&TrainConfig::preset(preset).recipe, BATCH)
    };
    let quarantine = Arc::new(Quarantine::new(OnBadSample::Skip { budget: 1.0 }, asked));
    let phase = console.phase("inspecting", asked, Unit::Things("images"));
    let mut sums = PixelSums::default();
    for batch in simsiam_pipeline::start(shards.clone(), quarantine.clone(), &config)? {
        interrupt.check()?;
        let batch = batch?;
        let view: &[u8] = batch.view(0);
        view.chunks_exact(view.len() / batch.len()).for_each(|image| sums.add(image));
        phase.inc(batch.len() as u64);
    }
    drop(phase);
    let bad = quarantine.list();
    let statistics = sums.statistics(config.recipe.size).ok_or_else(|| {
        InputError::new("no sample can be used (`simsiam inspect --verify` lists them)".to_owned())
    })?;
    if let Some(channel) = statistics.constant_channel() {
        let text = format!("{channel} has the same value in every pixel: no recipe can normalise it");
        return Err(InputError::new(text).into());
    }
    let text = if args.json {
        let mut report = serde_json::to_value(&statistics)?;
        report["bad"] = json!(bad);
        serde_json::to_string_pretty(&report)?
    } else {
        statistics.to_string()
    };
    console.result(text)?;
    if !bad.is_empty() {
        let samples = counted(bad.len() as u64, "sample");
        tracing::warn!("left out: {samples} of {asked}, which could not be used");
    }
    Ok(bad.is_empty())
}
