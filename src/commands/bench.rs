//! `simsiam bench`: measures the loader on given shards, and says what it measured.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use simsiam_pipeline::shards::OpenOptions;
use simsiam_pipeline::{PipelineConfig, ShardSet};

use crate::bench::{LoaderReport, Stage, loader, preset_for};
use crate::cli::BenchArgs;
use crate::config::{Overrides, TrainConfig};
use crate::error::InputError;

/// Prints a report.
///
/// # Errors
/// If the shards cannot be opened, samples cannot be used, or settings make no sense.
pub fn run(args: &BenchArgs) -> Result<()> {
    if !(args.seconds > 0.0 && args.seconds < 1e6) {
        return Err(InputError::new(format!("--seconds {}: expected a number above 0", args.seconds)).into());
    }
    let shards = Arc::new(ShardSet::open(&args.shards, &OpenOptions::default())?);
    let flags = Overrides { reducing_gap: args.reducing_gap, ..Overrides::default() };
    let overrides = match &args.config {
        Some(path) => flags.over(&Overrides::from_file(path)?),
        None => flags,
    };
    let preset = match args.preset.or(overrides.preset) {
        Some(preset) => preset,
        None => preset_for(&shards)?,
    };
    let recipe = TrainConfig::preset(preset).with(&overrides)?.recipe;
    // A small set of images is gone through several times a batch; a batch larger than it would be refused.
    let batch_size = args.batch_size.min(shards.len() as usize);
    let config = PipelineConfig {
        workers: args.workers.count(),
        ..PipelineConfig::training(recipe, batch_size, TrainConfig::preset(preset).seed)
    };
    let report = loader(&shards, &config, args.stage, args.seconds)?;
    let text = if args.json { serde_json::to_string(&report)? } else { describe(&report) };
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

fn describe(report: &LoaderReport) -> String {
    let rate = |median: f64, (low, high): (f64, f64)| format!("{median:.0} images/s ({low:.0} to {high:.0})");
    let LoaderReport { workers, batch_size, view_size, samples, step_us, .. } = report;
    let mut lines = vec![format!(
        "{samples} samples, {workers} workers, batches of {batch_size}, two views of {view_size} x {view_size}; medians over five windows (range)"
    )];
    let decode_only = rate(report.decode_only_images_per_s, report.decode_only_images_per_s_range);
    let what = match report.stage {
        Stage::Decode => None,
        Stage::Views => Some("two views"),
        Stage::Batches => Some("batches of two views"),
    };
    lines.push(format!("decode only: {decode_only}"));
    lines.extend(what.map(|what| {
        let rates = rate(report.images_per_s, report.images_per_s_range);
        let kept = 100.0 * report.images_per_s / report.decode_only_images_per_s;
        format!("{what}: {rates}, {kept:.0} % of decode only")
    }));
    lines.push(format!(
        "a worker's time for an image: read {:.1} us, decode {:.1} us, augment {:.1} us",
        step_us.read, step_us.decode, step_us.augment
    ));
    lines.extend(report.queues.iter().map(|queue| {
        format!(
            "queue `{}`: put-wait {:.0} ms, get-wait {:.0} ms, holds {:.1} of {}",
            queue.name, queue.put_wait_ms, queue.get_wait_ms, queue.mean_occupancy, queue.capacity
        )
    }));
    lines.push(format!("bottleneck: {}", report.bottleneck));
    let memory = match (report.rss_mib, report.mapped_mib) {
        (Some(own), Some(mapped)) => format!("; {own:.0} MiB of memory, and {mapped:.0} MiB of mapped files"),
        _ => String::new(),
    };
    lines.push(format!("{:.2} cores busy{memory}", report.cores_busy));
    lines.join("\n")
}
