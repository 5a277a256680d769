//! The device by its name on the command line.

use anyhow::Result;
use simsiam_model::backend::cpu;
use simsiam_model::network::Networks;

use crate::config::{Device, Precision};
use crate::error::InputError;

/// What can be done on any device.
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// As the work has them.
    fn run<D: Networks>(self, dev: &D) -> Result<Self::Output>;
}

/// Does `work` on a device.
///
/// # Errors
/// As the work has them; or if the device cannot be used or fails.
pub fn on_device<W: Work>(device: Device, precision: Option<Precision>, work: W) -> Result<W::Output> {
    match device {
        Device::Cpu => {
            let precision = match precision {
                Some(Precision::Bf16) => cpu::Precision::Bf16,
                Some(Precision::F32) | None => cpu::Precision::F32,
                Some(Precision::Tf32) => unreachable!("a configuration for the CPU has no TF32"),
            };
            cpu::in_precision(precision, |dev| work.run(dev))
        }
        Device::Cuda => on_cuda(precision.unwrap_or(Precision::Tf32), work),
    }
}

#[cfg(feature = "cuda")]
fn on_cuda<W: Work>(precision: Precision, work: W) -> Result<W::Output> {
    use simsiam_model::backend::cuda;

    let precision = match precision {
        Precision::F32 => cuda::Precision::F32,
        Precision::Tf32 => cuda::Precision::Tf32,
        Precision::Bf16 => cuda::Precision::Bf16,
    };
    let dev = cuda::start(precision).map_err(|error| InputError::new(error.to_string()))?;
    let result = cuda::guarded(move || work.run(&dev))?;
    result.map_err(|error| match cuda::DeviceError::of(&format!("{error:#}")) {
        Some(device) => device.into(),
        None => error,
    })
}

#[cfg(not(feature = "cuda"))]
fn on_cuda<W: Work>(_: Precision, _: W) -> Result<W::Output> {
    Err(without_cuda().into())
}

/// Refuses a device that this program was built without.
///
/// # Errors
/// If it was.
pub fn check(device: Device) -> Result<(), InputError> {
    if device == Device::Cuda && !cfg!(feature = "cuda") { Err(without_cuda()) } else { Ok(()) }
}

fn without_cuda() -> InputError {
    InputError::new("this program was built without CUDA: build it with `--features cuda` (docs/cuda.md)")
}
