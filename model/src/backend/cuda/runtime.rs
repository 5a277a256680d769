use std::collections::{HashMap, HashSet};
use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::cublas::{result as cublas, sys::cublasHandle_t};
use cudarc::cudnn::{result as cudnn, sys::cudnnHandle_t};
use cudarc::driver::result as driver;
use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdeviceptr, CUfunction, CUmemPool_attribute, cuDriverGetVersion,
};
use dfdx::prelude::*;
use dfdx::tensor::CudaError;
use libloading::Library;

use super::conv2d::Plans;
use super::error::of_driver;
use super::feed::Slots;
use super::memory::values;
use super::{Precision, StartError, late};
use crate::backend::kernels::{Argument, Queue, SOURCES, THREADS};

/// What the operations share. One for the process: dfdx's `Cuda` has no place for it.
pub(super) struct Runtime {
    pub(super) context: CUcontext,
    pub(super) cublas: cublasHandle_t,
    pub(super) cudnn: cudnnHandle_t,
    pub(super) plans: Mutex<Plans>,
    pub(super) slots: Slots,
    /// Ids and addresses of tensors whose storage was theirs alone when it was last looked at.
    pub(super) unshared: Mutex<HashSet<(u64, u64)>>,
    kernels: HashMap<&'static str, CUfunction>,
    workspace: Mutex<Workspace>,
    precision: Mutex<Precision>,
}

// SAFETY: the driver's handles may be used by any thread in whose context they are; of cuBLAS's and cuDNN's handles, only the
// thread that computes makes use.
unsafe impl Send for Runtime {}
// SAFETY: as above.
unsafe impl Sync for Runtime {}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// What [`start`] has set up.
pub(super) fn runtime() -> &'static Runtime {
    RUNTIME.get().expect("`start` makes the process's CUDA device")
}

/// The first CUDA device (`CUDA_VISIBLE_DEVICES` says which that is), ready to train on.
///
/// Another call gives another handle of the same device, and sets the precision of all.
///
/// # Errors
/// If a library, the driver or the device is missing or does not work; the error says what to install.
pub fn start(precision: Precision) -> Result<Cuda, StartError> {
    late::load()?;
    // cuDNN is called through cudarc, which would panic.
    // SAFETY: NVIDIA's libraries only set themselves up when they are loaded.
    let has_cudnn = unsafe { Library::new("libcudnn.so.9") };
    has_cudnn.map(std::mem::forget).map_err(|error| StartError::library("libcudnn.so.9", &error))?;
    // cudarc looks for the name without a version first, which may be another's.
    let version = cudnn::get_version();
    if version / 10_000 != 9 {
        return Err(StartError::library("libcudnn.so.9", &format!("libcudnn.so is of version {version}")));
    }
    driver::init().map_err(|error| StartError::NoDevice(format!("{:?}", error.0)))?;
    check_driver()?;
    match driver::device::get_count() {
        Ok(1..) => {}
        Ok(_) => return Err(StartError::NoDevice("the driver lists none".into())),
        Err(error) => return Err(StartError::NoDevice(format!("{:?}", error.0))),
    }

    let dev = Cuda::try_build(0, 0).map_err(StartError::device)?;
    if RUNTIME.get().is_none() {
        let _ = RUNTIME.set(Runtime::new()?);
    }
    *locked(&runtime().precision) = precision;
    check_storage(&dev)?;
    Ok(dev)
}

fn check_driver() -> Result<(), StartError> {
    let mut version = 0;
    // SAFETY: one number is written.
    let status = unsafe { cuDriverGetVersion(&mut version) };
    status.result().map_err(|error| StartError::NoDevice(format!("{:?}", error.0)))?;
    if version < 13000 {
        let found = format!("{}.{}", version / 1000, version % 1000 / 10);
        return Err(StartError::OldDriver { found });
    }
    Ok(())
}

/// Writes through dfdx and reads through the address that its `Debug` output gives.
fn check_storage(dev: &Cuda) -> Result<(), StartError> {
    let pattern: Vec<f32> = (0..77).map(|i| i as f32 * 1.25 - 31.0).collect();
    let tensor = dev.try_tensor_from_vec(pattern.clone(), (7, 11)).map_err(StartError::device)?;
    dev.try_synchronize().map_err(StartError::device)?;
    let mut found = vec![0.0f32; pattern.len()];
    // SAFETY: that many values are at the address, or this is what fails.
    unsafe { driver::memcpy_dtoh_sync(&mut found, values(&tensor).address()) }.map_err(StartError::device)?;
    if found != pattern {
        return Err(StartError::Device("a tensor's values are not where dfdx says".into()));
    }
    Ok(())
}

impl Runtime {
    /// In the context that dfdx has made current.
    fn new() -> Result<Self, StartError> {
        let device = driver::device::get(0).map_err(StartError::device)?;
        // The primary context, which dfdx uses, would end with dfdx's last device. It is never released.
        // SAFETY: the device exists.
        let context = unsafe { driver::primary_ctx::retain(device) }.map_err(StartError::device)?;
        keep_freed_memory(device)?;
        let runtime = Self {
            context,
            cublas: cublas::create_handle().map_err(StartError::device)?,
            cudnn: cudnn::create_handle().map_err(StartError::device)?,
            plans: Mutex::default(),
            slots: Slots::new()?,
            unshared: Mutex::default(),
            kernels: load_kernels()?,
            workspace: Mutex::new(Workspace { address: 0, bytes: 0 }),
            precision: Mutex::new(Precision::F32),
        };
        Ok(runtime)
    }

    pub(super) fn precision(&self) -> Precision {
        *locked(&self.precision)
    }

    /// Memory for what cuDNN does, at least `bytes`; one operation at a time has it, in the stream's order.
    pub(super) fn workspace(&self, bytes: usize) -> Result<MutexGuard<'_, Workspace>, CudaError> {
        let mut workspace = locked(&self.workspace);
        if workspace.bytes < bytes {
            let fail = |error| of_driver("memory for a convolution", error);
            if workspace.bytes > 0 {
                let old = std::mem::replace(&mut *workspace, Workspace { address: 0, bytes: 0 });
                // SAFETY: it was allocated below, and what uses it comes before in the stream.
                unsafe { driver::free_async(old.address, null_mut()) }.map_err(fail)?;
            }
            // SAFETY: cuDNN writes it before it reads it.
            let address = unsafe { driver::malloc_async(null_mut(), bytes) }.map_err(fail)?;
            *workspace = Workspace { address, bytes };
        }
        Ok(workspace)
    }
}

/// A lock whose holder may have panicked: what is locked here is whole at any moment.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory on the device.
pub(super) struct Workspace {
    pub(super) address: CUdeviceptr,
    pub(super) bytes: usize,
}

/// Each step allocates what the last one freed: without this, it would go back to the system at each synchronisation.
fn keep_freed_memory(device: CUdevice) -> Result<(), StartError> {
    let mut all = u64::MAX;
    let threshold = CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the device exists, and the attribute is a u64.
    unsafe {
        let pool = driver::device::get_default_mem_pool(device).map_err(StartError::device)?;
        driver::mem_pool::set_attribute(pool, threshold, (&raw mut all).cast()).map_err(StartError::device)
    }
}

/// Bytes aligned as the driver reads them.
#[repr(C, align(16))]
struct Image<const N: usize>([u8; N]);

macro_rules! image {
    ($source:literal) => {{
        const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", $source, ".fatbin"));
        static IMAGE: Image<{ BYTES.len() }> =
            Image(*include_bytes!(concat!(env!("OUT_DIR"), "/", $source, ".fatbin")));
        ($source, (&raw const IMAGE.0).cast::<c_void>())
    }};
}

/// The kernels that the build script has compiled, by name.
fn load_kernels() -> Result<HashMap<&'static str, CUfunction>, StartError> {
    let images: [(&str, *const c_void); SOURCES.len()] = [
        image!("adamw"),
        image!("avg_pool"),
        image!("batch_norm"),
        image!("batch_norm_bf16"),
        image!("bf16"),
        image!("bias"),
        image!("cosine"),
        image!("lars"),
        image!("max_pool"),
        image!("normalise"),
        image!("rows"),
        image!("sgd"),
    ];
    let mut kernels = HashMap::new();
    for ((source, image), (listed, names)) in images.into_iter().zip(SOURCES) {
        assert_eq!(source, listed, "images are in the sources' order");
        let fail = |error| StartError::Device(format!("kernels of {source}.cu: {error:?}"));
        // SAFETY: a whole fatbin, which lives as long as the program. It is never unloaded.
        let module = unsafe { driver::module::load_data(image) }.map_err(fail)?;
        for name in names {
            let c_name = CString::new(*name).expect("a kernel's name has no zero byte");
            // SAFETY: the module was loaded above.
            kernels.insert(*name, unsafe { driver::module::get_function(module, c_name) }.map_err(fail)?);
        }
    }
    Ok(kernels)
}

/// The stream that dfdx computes on.
impl Queue for Runtime {
    type Err = CudaError;

    unsafe fn launch(
        &self,
        kernel: &'static str,
        (x, y): (u32, u32),
        arguments: &[Argument],
    ) -> Result<(), CudaError> {
        let function = self.kernels[kernel];
        let mut addresses: Vec<_> = arguments.iter().map(Argument::address).collect();
        // SAFETY: the caller gives the kernel's arguments, which the driver copies before it returns.
        unsafe { driver::launch_kernel(function, (x, y, 1), (THREADS, 1, 1), 0, null_mut(), &mut addresses) }
            .map_err(|error| of_driver(kernel, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_driver_is_told_what_to_install() {
        // SAFETY: NVIDIA's libraries only set themselves up when they are loaded.
        if unsafe { Library::new("libcuda.so.1") }.is_ok() {
            println!("skipped: there is a driver");
            return;
        }
        let error = start(Precision::Tf32).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("cannot load libcuda.so.1 ("), "{error}");
        assert!(error.ends_with("): install an NVIDIA driver, 580 or later"), "{error}");
    }
}
