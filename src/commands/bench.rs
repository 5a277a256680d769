//! `simsiam bench`: measures the loader on given shards, or training steps, and says what it measured.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use simsiam_model::arch::Arch;
use simsiam_pipeline::augment::ViewGroup;
use simsiam_pipeline::sampler::SampleSet;
use simsiam_pipeline::{PipelineConfig, ShardSet, World};

use crate::bench::{LoaderReport, OperationRow, Stage, StepReport, largest_batch, loader, steps};
use crate::cli::BenchArgs;
use crate::config::{Device, Overrides, Preset, TrainConfig, Workers};
use crate::console::{Console, counted};
use crate::error::InputError;

/// Prints a report.
///
/// # Errors
/// If the shards cannot be opened, samples cannot be used, or settings make no sense.
pub fn run(args: &BenchArgs, console: &Console) -> Result<()> {
    let text = if args.stage == Stage::Train { bench_steps(args)? } else { bench_loader(args, console)? };
    Ok(console.result(text)?)
}

fn bench_steps(args: &BenchArgs) -> Result<String> {
    let of_file = overrides(args)?;
    let device = args.device.or(of_file.device).unwrap_or(Device::Cpu);
    if args.largest_batch && device == Device::Cpu {
        return Err(InputError::new(
            "--largest-batch is for --device cuda: the CPU's memory is the system's",
        )
        .into());
    }
    if args.profile && device == Device::Cuda {
        return Err(InputError::new("--profile is the CPU's: for a GPU, use NVIDIA Nsight Systems").into());
    }
    refuse(&[
        (!args.shards.is_empty(), "--shards is the loader's: steps are measured on made-up batches"),
        (
            args.source.is_given(),
            "the flags that choose images are the loader's: steps are measured on made-up batches",
        ),
        (args.shuffle.is_some(), "--shuffle is the loader's: steps are measured on made-up batches"),
        (args.workers.is_some(), "--workers is the loader's: steps use all cores"),
        ((args.world_size, args.rank) != (1, 0), "--world-size and --rank are the loader's: steps have none"),
    ])?;
    let overrides = Overrides {
        batch_size: Some(args.batch_size),
        device: Some(device),
        precision: args.precision.or(of_file.precision),
        ..of_file
    };
    let arch = args.arch.or(overrides.arch).unwrap_or(Arch::Resnet18Cifar);
    let preset = args.preset.or(overrides.preset).unwrap_or(Preset::for_arch(arch));
    let mut config =
        TrainConfig::resolve(&Overrides { preset: Some(preset), arch: Some(arch), ..overrides })?;
    config.check_size()?;
    if args.largest_batch {
        let none =
            || InputError::new(format!("batches of {} do not fit: lower --batch-size", args.batch_size));
        config.batch_size = largest_batch(&config)?.ok_or_else(none)?;
    }
    let report = steps(&config, args.seconds, args.profile)?;
    Ok(if args.json { serde_json::to_string(&report)? } else { describe_steps(&report) })
}

fn bench_loader(args: &BenchArgs, console: &Console) -> Result<String> {
    refuse(&[
        (args.arch.is_some(), "--arch is for --stage train: the loader has no model"),
        (args.device.is_some(), "--device is for --stage train: the loader has no model"),
        (args.precision.is_some(), "--precision is for --stage train: the loader has no model"),
        (args.largest_batch, "--largest-batch is for --stage train"),
        (args.profile, "--profile is for --stage train: the loader's steps are always measured"),
    ])?;
    let (rank, ranks) = (args.rank, args.world_size);
    if rank >= ranks {
        return Err(
            InputError::new(format!("--rank {rank}: must be less than the {ranks} of --world-size")).into()
        );
    }
    if args.shards.is_empty() {
        return Err(InputError::new(
            "no shards to measure with: --shards names them; --stage train needs none",
        )
        .into());
    }
    let shards = Arc::new(ShardSet::open(&args.shards, &args.source.options(console.open_options()))?);
    for warning in shards.warnings() {
        tracing::warn!("{warning}");
    }
    let overrides = overrides(args)?;
    let preset = match args.preset.or(overrides.preset) {
        Some(preset) => preset,
        None => Preset::for_images(&shards),
    };
    // Which views the method takes is nothing to the loader.
    let other = Overrides { recipe: None, multi_crop: None, ..overrides.clone() };
    let config = TrainConfig::preset(preset).with(&other)?;
    let (recipe, seed) = (config.recipe_with(&overrides)?, config.seed);
    let chosen = args.source.choice.chosen(&shards)?;
    // A batch larger than the data would be refused, and a few images are enough to measure with.
    let samples = chosen.as_ref().map_or(shards.len(), SampleSet::len);
    let batch_size = args.batch_size.min(samples as usize);
    let config = PipelineConfig {
        chosen,
        mixture: shards.mixture().cloned(),
        order: args.shuffle.unwrap_or_default().order(),
        workers: args.workers.unwrap_or(Workers::Auto).count(),
        world: World { size: args.world_size, rank: args.rank },
        ..PipelineConfig::training(recipe, batch_size, seed)
    };
    let report = loader(&shards, &config, args.stage, args.seconds)?;
    Ok(if args.json { serde_json::to_string(&report)? } else { describe(&report) })
}

/// The first of the given flags that mean nothing here.
fn refuse(given: &[(bool, &str)]) -> Result<(), InputError> {
    match given.iter().find(|(is_given, _)| *is_given) {
        Some((_, reason)) => Err(InputError::new(*reason)),
        None => Ok(()),
    }
}

fn overrides(args: &BenchArgs) -> Result<Overrides> {
    let flags =
        Overrides { reducing_gap: args.reducing_gap, recipe: args.recipe.clone(), ..Overrides::default() };
    Ok(flags.over_file(args.config.as_deref())?)
}

fn describe_steps(report: &StepReport) -> String {
    let StepReport { arch, batch_size, projector_layers, .. } = report;
    let on = match report.device {
        Device::Cpu => counted(report.threads as u64, "thread"),
        Device::Cuda => "a GPU".into(),
    };
    let precision = report.precision.and_then(|precision| precision.to_possible_value());
    let precision = precision.map_or(String::new(), |precision| format!(" in {}", precision.get_name()));
    let (low, high) = report.images_per_s_range;
    let mut lines = vec![
        format!(
            "{arch}, batches of {batch_size}, projector of {projector_layers} layers, {on}{precision}; medians over five windows (range)"
        ),
        format!(
            "{:.1} images/s ({low:.1} to {high:.1}), {:.2} steps/s",
            report.images_per_s, report.steps_per_s
        ),
    ];
    lines.extend(report.rss_mib.map(|mib| format!("{mib:.0} MiB of memory")));
    lines.extend(report.peak_gflop_per_s.map(|peak| {
        format!("fused multiply-adds of single precision: at most {peak:.0} GFLOP/s (measured); below, Winograd's convolutions count as direct ones")
    }));
    lines.extend(report.operations.iter().map(|row| {
        let OperationRow { operation, share, call_ms, gflop_per_s, gbyte_per_s } = row;
        let share = 100.0 * share;
        format!("{share:5.1} %  {call_ms:8.3} ms a call  {gflop_per_s:6.1} GFLOP/s  {gbyte_per_s:5.1} GB/s  {operation}")
    }));
    lines.join("\n")
}

fn describe(report: &LoaderReport) -> String {
    let rate = |median: f64, (low, high): (f64, f64)| format!("{median:.0} images/s ({low:.0} to {high:.0})");
    let LoaderReport { workers, batch_size, views, samples, step_us, .. } = report;
    let mut lines = vec![format!(
        "{}, {}, batches of {batch_size}, {} of each image; medians over five windows (range)",
        counted(*samples, "sample"),
        counted(*workers as u64, "worker"),
        ViewGroup::listed(views)
    )];
    let decode_only = rate(report.decode_only_images_per_s, report.decode_only_images_per_s_range);
    let what = match report.stage {
        Stage::Decode | Stage::Train => None,
        Stage::Views => Some("views"),
        Stage::Batches => Some("batches of views"),
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
