//! Loads the CUDA functions that dfdx is linked to at run time, instead of at program start.
//!
//! dfdx's cudarc links libcuda, libcublas and libnvrtc: such a program does not start if one of them is missing, not
//! even to report it. Here each function that it calls is defined again, as a jump to the address that [`load`] found.
//! The linker uses these definitions, so the program starts without the libraries. Before [`load`], and for a missing
//! library, the jump leads to a function that returns an error.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::Library;

use super::StartError;

/// A library of functions, and where they are.
struct Late {
    file: &'static str,
    functions: &'static [(&'static str, &'static AtomicPtr<c_void>)],
}

/// Finds the functions. What is found stays loaded.
pub(super) fn load() -> Result<(), StartError> {
    for Late { file, functions } in LIBRARIES {
        // SAFETY: NVIDIA's libraries only set themselves up when they are loaded.
        let library = unsafe { Library::new(*file) };
        let library = library.map_err(|error| StartError::library(file, &error))?;
        for (name, place) in *functions {
            // SAFETY: the address is only jumped to, by callers that declare the function's type.
            let function = unsafe { library.get::<*mut c_void>(*name) };
            let function = function.map_err(|error| StartError::library(file, &error))?;
            // SAFETY: a symbol is its address.
            place.store(unsafe { function.into_raw() }.as_raw_ptr(), Ordering::Release);
        }
        std::mem::forget(library);
    }
    Ok(())
}

/// `CUDA_ERROR_NO_DEVICE`.
extern "C" fn no_device() -> c_int {
    100
}

/// `CUBLAS_STATUS_NOT_INITIALIZED`; and for NVRTC, any failure.
extern "C" fn not_initialized() -> c_int {
    1
}

#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    ($place:path) => {
        core::arch::naked_asm!("jmp qword ptr [rip + {place}]", place = sym $place)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    ($place:path) => {
        core::arch::naked_asm!(
            "adrp x16, {place}",
            "ldr x16, [x16, :lo12:{place}]",
            "br x16",
            place = sym $place
        )
    };
}

macro_rules! late {
    ($($file:literal, $unavailable:ident: $($name:ident)*;)*) => {
        #[allow(non_upper_case_globals, reason = "the library's names")]
        mod places {
            use super::*;
            $($(pub(super) static $name: AtomicPtr<c_void> =
                AtomicPtr::new($unavailable as extern "C" fn() -> c_int as *mut c_void);)*)*
        }

        $($(
            // SAFETY: defined in place of the library's function of this name, which it jumps to with all registers and
            // the stack as they came. Nothing else in the program defines the name.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            #[allow(non_snake_case, reason = "the library's name")]
            extern "C" fn $name() {
                jump!(places::$name)
            }
        )*)*

        const LIBRARIES: &[Late] = &[$(
            Late { file: $file, functions: &[$((stringify!($name), &places::$name)),*] },
        )*];
    };
}

late! {
    "libcuda.so.1", no_device:
        cuCtxGetCurrent cuCtxSetCurrent cuDestroyExternalMemory cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount
        cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxRetain cuDeviceTotalMem_v2 cuEventCreate cuEventDestroy_v2
        cuEventElapsedTime cuEventQuery cuEventRecord cuExternalMemoryGetMappedBuffer cuGetErrorName cuGetErrorString
        cuImportExternalMemory cuInit cuLaunchKernel cuMemAllocAsync cuMemAlloc_v2 cuMemFreeAsync cuMemFree_v2
        cuMemGetInfo_v2 cuMemcpyDtoDAsync_v2 cuMemcpyDtoD_v2 cuMemcpyDtoHAsync_v2 cuMemcpyDtoH_v2 cuMemcpyHtoDAsync_v2
        cuMemcpyHtoD_v2 cuMemsetD8Async cuMemsetD8_v2 cuModuleGetFunction cuModuleLoad cuModuleLoadData cuModuleUnload
        cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
        cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cuOccupancyMaxActiveClusters
        cuOccupancyMaxPotentialBlockSize cuOccupancyMaxPotentialBlockSizeWithFlags cuOccupancyMaxPotentialClusterSize
        cuProfilerStart cuProfilerStop cuStreamCreate cuStreamDestroy_v2 cuStreamSynchronize cuStreamWaitEvent;
    "libcublas.so.13", not_initialized:
        cublasCreate_v2 cublasDestroy_v2 cublasDgemmStridedBatched cublasDgemm_v2 cublasDgemv_v2 cublasGemmEx
        cublasGemmStridedBatchedEx cublasSetStream_v2 cublasSgemmStridedBatched cublasSgemm_v2 cublasSgemv_v2;
    "libnvrtc.so.13", not_initialized:
        nvrtcCompileProgram nvrtcCreateProgram nvrtcDestroyProgram nvrtcGetPTX nvrtcGetPTXSize nvrtcGetProgramLog
        nvrtcGetProgramLogSize;
}
