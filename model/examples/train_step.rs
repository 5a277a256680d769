//! Times SimSiam steps on the CPU (both views forward, backward, and the update) and prints one line of JSON.
//!
//! `cargo run -p simsiam-model --example train_step -- --arch resnet8 --batch 128 --steps 6 --threads 2`
//!
//! Architectures: `resnet8`, `resnet20` and `resnet18-cifar` at 32 pixels with a projector of 2 layers, `resnet50` at 224
//! with one of 3.

#![allow(clippy::unwrap_used, reason = "a wrong argument ends the program")]

use std::time::{Duration, Instant};

use dfdx::prelude::*;
use serde_json::json;
use simsiam_model::backend::cpu::profile::{self, Totals};
use simsiam_model::encoders::{Encoder, ResNet8, ResNet18Cifar, ResNet20, ResNet50};
use simsiam_model::{LearningRates, Sgd, SgdConfig, SimSiam, SimSiamConfig, TargetGradient, images_from};

fn main() {
    let args = Args::parse();
    if args.keep_memory {
        // SAFETY: the call sets two numbers of the allocator.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global().unwrap();
    let seconds = match args.arch.as_str() {
        "resnet8" => time::<ResNet8<Cpu>, 32, 64>(&args, 2),
        "resnet20" => time::<ResNet20<Cpu>, 32, 64>(&args, 2),
        "resnet18-cifar" => time::<ResNet18Cifar<Cpu>, 32, 512>(&args, 2),
        "resnet50" => time::<ResNet50<Cpu>, 224, 2048>(&args, 3),
        other => panic!("no architecture {other:?}"),
    };
    let mut sorted = seconds.clone();
    sorted.sort_by_key(|step| step.wall);
    let median = sorted[sorted.len() / 2].wall.as_secs_f64();
    let milliseconds = |of: fn(&Step) -> Duration| -> Vec<f64> {
        seconds.iter().map(|step| of(step).as_secs_f64() * 1e3).collect()
    };
    let found = json!({
        "arch": args.arch,
        "batch": args.batch,
        "threads": args.threads,
        "images_per_s": args.batch as f64 / median,
        "step_ms": milliseconds(|step| step.wall),
        "step_cpu_ms": milliseconds(|step| step.cpu),
        "page_faults": usage().ru_minflt,
        "peak_rss_mib": usage().ru_maxrss as f64 / 1024.0,
    });
    println!("{found}");
}

struct Args {
    arch: String,
    batch: usize,
    steps: usize,
    threads: usize,
    keep_memory: bool,
    profile: bool,
}

impl Args {
    fn parse() -> Self {
        let mut args = Self {
            arch: "resnet8".into(),
            batch: 128,
            steps: 6,
            threads: 2,
            keep_memory: true,
            profile: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            let value = given.next().unwrap();
            match name.as_str() {
                "--arch" => args.arch = value,
                "--batch" => args.batch = value.parse().unwrap(),
                "--steps" => args.steps = value.parse().unwrap(),
                "--threads" => args.threads = value.parse().unwrap(),
                "--profile" => args.profile = value.parse().unwrap(),
                "--keep-memory" => args.keep_memory = value.parse().unwrap(),
                other => panic!("no option {other:?}"),
            }
        }
        args
    }
}

/// One step's time on the clock, and that of all threads together.
#[derive(Clone)]
struct Step {
    wall: Duration,
    cpu: Duration,
}

fn time<E: Encoder<Cpu, SIZE, FEATURES>, const SIZE: usize, const FEATURES: usize>(
    args: &Args,
    projector_layers: usize,
) -> Vec<Step> {
    let dev = Cpu::default();
    let mut model = SimSiam::<E, FEATURES, 2048, 512, Cpu>::new(&dev, &SimSiamConfig { projector_layers }, 0);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 1e-4 });
    let mut grads = Some(model.alloc_grads());
    let values = args.batch * 3 * SIZE * SIZE;
    let view = |frequency: f32| -> Vec<f32> { (0..values).map(|i| (i as f32 * frequency).sin()).collect() };
    let (first, second) = (view(0.11), view(0.13));

    let mut step = |_| {
        let (wall, cpu) = (Instant::now(), cpu_time());
        let first = images_from::<_, 3, SIZE>(&dev, &first);
        let second = images_from::<_, 3, SIZE>(&dev, &second);
        let view1 = model.forward_mut(first.traced(grads.take().unwrap()));
        let view2 = model.forward_mut(second.leaky_traced());
        let loss = simsiam_model::objective::symmetric_loss(view1, view2, TargetGradient::Stopped);
        let mut gradients = loss.backward();
        sgd.update(&mut model, &mut gradients, LearningRates { base: 0.05, predictor: 0.05 }).unwrap();
        model.zero_grads(&mut gradients);
        grads = Some(gradients);
        Step { wall: wall.elapsed(), cpu: cpu_time() - cpu }
    };
    for warm_up in 0..2 {
        step(warm_up);
    }
    if args.profile {
        profile::start();
    }
    let times = (0..args.steps).map(step).collect();
    for entry in profile::stop() {
        let Totals { calls, time, fastest, flops, bytes } = entry.totals;
        let (seconds, each) = (fastest.as_secs_f64(), calls as f64);
        eprintln!(
            "{:9.2} ms {:6} calls, fastest {:8.3} ms {:7.1} GFLOP/s {:7.1} GB/s  {} {}",
            time.as_secs_f64() * 1e3 / args.steps as f64,
            calls,
            seconds * 1e3,
            flops / each / seconds / 1e9,
            bytes / each / seconds / 1e9,
            entry.operation,
            entry.shape,
        );
    }
    times
}

/// What the system says that the process has used.
fn usage() -> libc::rusage {
    // SAFETY: the structure is plain numbers, and the call fills it.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}

/// User and system time of all threads.
fn cpu_time() -> Duration {
    let usage = usage();
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
