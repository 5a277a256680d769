//! What `train` says before and after the steps.

use simsiam_pipeline::augment::ViewGroup;

use crate::cli::program;
use crate::commands::demo_shards;
use crate::config::{Device, Precision, TrainConfig};
use crate::console::{Console, counted, thousands};
use crate::data::Data;
use crate::instructions;
use crate::progress::Counters;
use crate::run_dir::RunDir;
use crate::schedule::Schedule;
use crate::train::{Outcome, Run};

pub(super) fn introduce(
    console: &Console,
    config: &TrainConfig,
    data: &Data,
    dir: &RunDir,
    counters: &Counters,
    processes: usize,
) {
    let together = if processes > 1 { format!(", on {processes} processes") } else { String::new() };
    console.line(format_args!("# {}{together}", config.summary()));
    console.line(format_args!(
        "# all settings are in {} (--show-config prints them)",
        dir.path().join("config.toml").display()
    ));
    let knn = data.knn.as_ref().map_or("no kNN".into(), |knn| {
        let (bank, queries) = (knn.bank.len(), knn.queries.len());
        let queries = if queries == 1 { "1 query".into() } else { format!("{} queries", thousands(queries)) };
        format!("kNN: {}, {queries}", counted(bank, "neighbour"))
    });
    console.line(format_args!(
        "# {} to train on in {}; {knn}",
        counted(data.train.len(), "image"),
        counted(data.train.shards.shards().len() as u64, "source")
    ));
    let step = thousands(counters.step);
    if counters.is_finished(config.epochs) {
        console.line(format_args!(
            "# this run is finished: {} of {} done ({step} steps), nothing is left to train",
            config.epochs,
            counted(config.epochs, "epoch")
        ));
    } else if let Some((rule, _)) = counters.stopped_by(config) {
        console.line(format_args!(
            "# this run is finished by --stop-when '{rule}', after step {step}; another rule, or `never`, lets it go on"
        ));
    } else if counters.step > 0 {
        console.line(format_args!("# resumed after step {step}"));
    }
}

pub(super) fn conclude(console: &Console, outcome: &Outcome, run: &Run) {
    let (Outcome::Finished(counters)
    | Outcome::StoppedEarly(counters, _)
    | Outcome::Interrupted(counters)
    | Outcome::Collapsed(counters)) = outcome;
    let path = run.dir.path().display();
    let bad = run.data.bad_samples().len() as u64;
    if bad > 0 {
        let bad = counted(bad, "unusable sample");
        console.line(format_args!("{bad}: see {path}/quarantine.json"));
    }
    if let (Some(first), Some(last)) = (counters.first_knn, counters.last_knn) {
        let trained = counters.best_knn.map(|(best, _)| format!(", {last:.2} % now, {best:.2} % at best"));
        console.line(format_args!(
            "kNN top-1 (backbone features): {first:.2} % untrained{}",
            trained.unwrap_or_default()
        ));
    }
    match outcome {
        Outcome::Interrupted(_) => {
            console.line(format_args!(
                "interrupted and saved; continue with: {} train --resume {path}",
                program()
            ));
        }
        Outcome::Collapsed(_) => {
            console.line(format_args!("stopped after the collapse, and saved in {path}"));
        }
        Outcome::StoppedEarly(counters, reason) => {
            let epochs = counters.epochs_reported.saturating_sub(1);
            console.line(format_args!(
                "finished early, after epoch {epochs} of {}: {reason}",
                run.config.epochs
            ));
            console.line(format_args!("run folder: {path} (config.toml, metrics.jsonl, checkpoints)"));
        }
        Outcome::Finished(_) => {
            console.line(format_args!("run folder: {path} (config.toml, metrics.jsonl, checkpoints)"));
            if demo_shards::are_own(&run.config.shards) {
                console.line(format_args!(
                    "next, your own images: {} train --shards photos/ --preset cifar10 --arch resnet8 --batch-size 64 --epochs 10",
                    program()
                ));
            }
        }
    }
}

/// What becomes of the learning rate of a run that was to have `before` epochs.
pub(super) fn new_schedule(config: &TrainConfig, before: u64, step: u64, steps_per_epoch: u64) -> String {
    let rate = |epochs: u64| {
        let config = TrainConfig { epochs, ..config.clone() };
        Schedule::new(&config, steps_per_epoch).at(step).base
    };
    format!(
        "# {} instead of {before}: the schedule is recomputed for all of them; the learning rate after step {} is {:.6} instead of {:.6}",
        counted(config.epochs, "epoch"),
        thousands(step),
        rate(config.epochs),
        rate(before)
    )
}

/// Who asks for bf16 on a processor without AMX may expect it to be faster.
pub(super) fn say_what_bf16_gains(config: &TrainConfig, console: &Console) {
    if (config.device, config.precision) != (Device::Cpu, Some(Precision::Bf16)) {
        return;
    }
    let gains = match instructions::in_use() {
        "amx" => return,
        "avx512bf16" => "memory on this processor, and little time",
        _ => "memory on this processor, not time",
    };
    console.line(format_args!("# --precision bf16 saves {gains}: AMX is not available"));
}

/// A step that does not fit ends the program without a word.
pub(super) fn warn_of_memory(config: &TrainConfig, processes: usize) {
    let mib_an_image: f64 =
        ViewGroup::sizes(&config.view_groups()).map(|size| config.arch.mib_an_image(size) / 2.0).sum();
    let images = config.batch_size / processes;
    let of_f32 = (images as f64 * mib_an_image * f64::from(1 << 20)) as u64;
    let needed = if config.precision == Some(Precision::Bf16) { of_f32 / 5 * 3 } else { of_f32 };
    if let Some(available) = simsiam_pipeline::available_memory()
        && config.device == Device::Cpu
        && needed > available
    {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        tracing::warn!(
            "a step of {} images with {} needs about {:.0} GiB, but {:.1} are free: use a smaller --batch-size, --arch or --preset",
            images,
            config.arch,
            gib(needed),
            gib(available)
        );
    }
}
