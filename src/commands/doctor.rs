//! `simsiam doctor`: compares a device with the CPU, and says whether it may be trusted.

use anyhow::Result;
use simsiam_model::arch::Arch;

use crate::cli::DoctorArgs;
use crate::config::{Device, Overrides, Precision, Preset, TrainConfig};
use crate::console::Console;
use crate::device::on_device;
use crate::doctor::{Compared, Diagnosis, Doctor, Losses, SINGLE_PRECISION};

/// Compares, prints, and gives true if every operation agrees.
///
/// # Errors
/// If settings make no sense, or the device cannot be used or fails.
pub fn run(args: &DoctorArgs, console: &Console) -> Result<bool> {
    let preset = Preset::for_arch(args.arch);
    let config = TrainConfig::resolve(&Overrides {
        preset: Some(preset),
        arch: Some(args.arch),
        batch_size: Some(args.batch_size),
        device: Some(args.device),
        precision: args.precision,
        seed: Some(args.seed),
        ..Overrides::default()
    })?;
    let tolerance = tolerance(&config);
    let mut report = |compared: &Compared| {
        let Compared { operation, result, error, passes } = compared;
        let verdict = if *passes { "ok    " } else { "FAILED" };
        console.line(format_args!("{verdict}  {error:8.1e}  {operation}: {result}"));
    };
    let doctor = Doctor { config: &config, steps: args.steps, tolerance, report: &mut report };
    let Diagnosis { failed, losses } = on_device(config.device, config.precision, doctor)?;
    console.result(format_args!(
        "errors are relative to the CPU's results in single precision; one passes up to {tolerance:.0e}, and without images and matrix products up to {SINGLE_PRECISION:.0e}"
    ))?;
    print_losses(console, config.arch, config.batch_size, &losses);
    if failed > 0 {
        let results = if failed == 1 { "result is" } else { "results are" };
        console.result(format_args!("{failed} {results} not the CPU's: do not train on this device"))?;
    }
    Ok(failed == 0)
}

/// What rounding explains.
fn tolerance(config: &TrainConfig) -> f64 {
    match (config.device, config.precision) {
        (_, Some(Precision::Bf16)) => 5e-3,
        (Device::Cpu, _) | (Device::Cuda, Some(Precision::F32)) => SINGLE_PRECISION,
        (Device::Cuda, _) => 1e-3,
    }
}

fn print_losses(console: &Console, arch: Arch, batch: usize, losses: &Losses) {
    /// Lines to print.
    const LINES: usize = 10;
    let steps = losses.cpu.len();
    console.line(format_args!("{arch}, batches of {batch}; rounding makes losses part slowly, not at once:"));
    for (step, (device, cpu)) in losses.device.iter().zip(&losses.cpu).enumerate() {
        if step % steps.div_ceil(LINES) == 0 || step + 1 == steps {
            console.line(format_args!("step {:4}  loss {device:9.6}  on the CPU {cpu:9.6}", step + 1));
        }
    }
}
