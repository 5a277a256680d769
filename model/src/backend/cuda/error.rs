use std::any::Any;
use std::fmt::{Debug, Display};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use cudarc::driver::{DriverError, sys::CUresult};
use dfdx::tensor::CudaError;

use super::runtime::locked;

/// Why the device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A library is missing, or lacks a function.
    #[error("cannot load {file} ({cause}): {advice}")]
    Library {
        /// The library.
        file: &'static str,
        /// The loader's message.
        cause: String,
        /// What to install.
        advice: &'static str,
    },
    /// The driver supports only an older CUDA than the program needs.
    #[error("the NVIDIA driver knows CUDA {found}, this program needs 13.0: install driver 580 or later")]
    OldDriver {
        /// The version that it supports.
        found: String,
    },
    /// There is no device, or it cannot be used.
    #[error("no CUDA device can be used ({0}): is there an NVIDIA GPU, and does `nvidia-smi` list it?")]
    NoDevice(String),
    /// The device failed at the start.
    #[error("the CUDA device failed to start: {0}")]
    Device(String),
}

impl StartError {
    pub(super) fn library(file: &'static str, cause: &dyn Display) -> Self {
        let advice = match file {
            "libcuda.so.1" => "install an NVIDIA driver, 580 or later",
            "libcudnn.so.9" => "install cuDNN 9 for CUDA 13, or use tools/cuda/bundle.sh",
            _ => "install CUDA 13, or use tools/cuda/bundle.sh",
        };
        Self::Library { file, cause: cause.to_string(), advice }
    }

    pub(super) fn device(error: impl Debug) -> Self {
        Self::Device(format!("{error:?}"))
    }
}

/// A failure of the device while it works.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// Its memory is full.
    #[error("the GPU's memory is full: lower --batch-size")]
    OutOfMemory,
    /// Any other failure.
    #[error("{0}")]
    Failed(String),
}

impl DeviceError {
    /// The error that the text of a panic or of a dfdx error stands for; `None` if it is not the device's.
    pub fn of(text: &str) -> Option<Self> {
        const SIGNS: [&str; 4] = ["the device failed", "CUDA_ERROR", "CUBLAS_STATUS", "CUDNN_STATUS"];
        const FULL: [&str; 4] =
            ["OUT_OF_MEMORY", "ALLOC_FAILED", "ALLOCATION_FAILED", "larger than the kernels count"];
        let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        if has(&FULL) { Some(Self::OutOfMemory) } else { has(&SIGNS).then(|| Self::Failed(text.to_owned())) }
    }
}

/// The error that dfdx's `Cuda` has for a failure of `what`.
///
/// # Panics
/// Unless memory is full: dfdx's error has no place for newer codes, and its own operators panic too.
pub(super) fn of_driver(what: &str, error: DriverError) -> CudaError {
    use cudarc_of_dfdx::driver::{DriverError, sys::CUresult as Old};
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => CudaError::Driver(DriverError(Old::CUDA_ERROR_OUT_OF_MEMORY)),
        code => panic!("the device failed: {what}: {code:?}"),
    }
}

/// Runs work on the device. Its operators panic when it fails, like dfdx's; those panics become errors here, and others
/// are resumed. If the device can no longer even free memory, so that a second panic would abort the program, it prints
/// the first panic's text and exits with code 1.
///
/// # Errors
/// If the device fails.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, DeviceError> {
    type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send>;
    let before: Arc<Hook> = Arc::new(panic::take_hook());
    let (hook, first) = (before.clone(), Mutex::new(None));
    panic::set_hook(Box::new(move |info| {
        let Some(error) = device_error(info.payload()) else { return hook(info) };
        if let Some(first) = locked(&first).replace(error) {
            eprintln!("error: {first}");
            std::process::exit(1);
        }
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(Box::new(move |info| before(info)));
    result.map_err(|payload| device_error(&*payload).unwrap_or_else(|| panic::resume_unwind(payload)))
}

/// What a panic says, if it is the device's.
fn device_error(payload: &(dyn Any + Send)) -> Option<DeviceError> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    DeviceError::of(text.or_else(|| payload.downcast_ref::<&str>().copied())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_panics_become_errors() {
        assert_eq!(guarded(|| 3), Ok(3));
        let full =
            "called `Result::unwrap()` on an `Err` value: Driver(DriverError(CUDA_ERROR_OUT_OF_MEMORY, ..))";
        assert_eq!(guarded(|| -> u8 { panic!("{full}") }), Err(DeviceError::OutOfMemory));
        let of_cudnn = "the device failed: convolution: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED";
        assert_eq!(DeviceError::of(of_cudnn), Some(DeviceError::OutOfMemory));
        let text = "the device failed: convolution: CUDNN_STATUS_BAD_PARAM";
        assert_eq!(guarded(|| -> u8 { panic!("{text}") }), Err(DeviceError::Failed(text.into())));
    }

    #[test]
    #[should_panic(expected = "a bug")]
    fn other_panics_go_on() {
        let _ = guarded(|| -> u8 { panic!("a bug") });
    }
}
