//! `simsiam doctor`: what the machine has, whether a device computes what the CPU does, and a verdict.

use std::fmt;

use anyhow::Result;
use simsiam_model::arch::Arch;

use crate::cli::DoctorArgs;
use crate::config::{Device, Overrides, Precision, Preset, TrainConfig};
use crate::console::{Console, counted};
use crate::device::on_device;
use crate::doctor::{self, Check, Compared, Diagnosis, Doctor, Losses, Outcome, SINGLE_PRECISION};
use crate::error::InputError;

/// Looks at the machine, compares the device, prints, and gives true if training will work.
///
/// # Errors
/// If settings make no sense, or the named device cannot be used or fails.
pub fn run(args: &DoctorArgs, console: &Console) -> Result<bool> {
    let checks = doctor::checks();
    checks.iter().for_each(|check| console.line(Line(check)));
    let asked = args.device.unwrap_or(Device::Cuda);
    let (device, failed) = match compare(args, asked, console) {
        Ok(failed) => (asked, failed),
        Err(error) if args.device.is_none() && error.is::<InputError>() => {
            console.line(Line(&Check::without_device("GPU", error.to_string())));
            (Device::Cpu, 0)
        }
        Err(error) => return Err(error),
    };
    let faults = checks.iter().filter(|check| check.outcome == Outcome::Fault).count();
    console.result(verdict(device, faults, failed))?;
    Ok(faults + failed == 0)
}

fn verdict(device: Device, faults: usize, failed: usize) -> String {
    let device = match device {
        Device::Cpu => "CPU",
        Device::Cuda => "GPU",
    };
    match (faults, failed) {
        (0, 0) => format!("verdict: fit to train on the {device}"),
        (_, 0) => format!("verdict: not fit to train: {} failed", counted(faults as u64, "check")),
        (_, 1) => format!("verdict: 1 result is not the CPU's; do not train on this {device}"),
        _ => format!("verdict: {failed} results differ from the CPU's; do not train on this {device}"),
    }
}

/// A check as a line of the output.
struct Line<'a>(&'a Check);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check { name, found, outcome } = self.0;
        let outcome = match outcome {
            Outcome::Fine => "ok",
            Outcome::Note => "note",
            Outcome::Fault => "FAILED",
        };
        write!(f, "{outcome:6}  {name:14}  {found}")
    }
}

/// Compares a device with the CPU, and gives the number of results that differ.
fn compare(args: &DoctorArgs, device: Device, console: &Console) -> Result<usize> {
    let preset = Preset::for_arch(args.arch);
    let config = TrainConfig::resolve(&Overrides {
        preset: Some(preset),
        arch: Some(args.arch),
        batch_size: Some(args.batch_size),
        device: Some(device),
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
    Ok(failed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_one_line() {
        assert_eq!(verdict(Device::Cpu, 0, 0), "verdict: fit to train on the CPU");
        assert_eq!(verdict(Device::Cpu, 2, 0), "verdict: not fit to train: 2 checks failed");
        assert_eq!(
            verdict(Device::Cuda, 0, 1),
            "verdict: 1 result is not the CPU's; do not train on this GPU"
        );
        assert_eq!(
            verdict(Device::Cuda, 1, 3),
            "verdict: 3 results differ from the CPU's; do not train on this GPU"
        );
    }
}
