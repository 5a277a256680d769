//! The driver's functions: `libcuda.so.1`.

mod memory;

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use crate::memory::{Fault, Memory};
use crate::ptx::{Kernel, Launch, Module};
use crate::streams::{Elapsed, Mark, Order, Streams, Work};
use crate::waits::Waits;
use crate::{CURRENT, Status, call, device, fatbin, not_simulated};

const SUCCESS: Status = 0;
const INVALID_VALUE: Status = 1;
const OUT_OF_MEMORY: Status = 2;
const NOT_INITIALIZED: Status = 3;
const INVALID_HANDLE: Status = 400;
const NOT_FOUND: Status = 500;
const NOT_READY: Status = 600;

/// What is behind the functions.
pub struct Driver {
    pub memory: Memory,
    pub streams: Streams,
    pub waits: Waits,
    is_initialised: bool,
    modules: Vec<Module>,
    functions: Vec<Function>,
    /// The stream of each of cuBLAS's handles.
    pub products: Vec<Handle>,
    /// Pinned memory, by address. What is freed is spoiled but kept, for copies that still come.
    pinned: BTreeMap<usize, usize>,
}

struct Function {
    module: usize,
    name: String,
    /// Once it has been launched.
    kernel: Option<Arc<Kernel>>,
}

/// A handle of something that is numbered, as C sees it; 0 is none.
pub type Handle = usize;

impl Driver {
    pub fn new(order: Order, bytes: usize, waits: Waits) -> Self {
        Self {
            memory: Memory::new(bytes),
            streams: Streams::new(order),
            waits,
            is_initialised: false,
            modules: Vec::new(),
            functions: Vec::new(),
            products: Vec::new(),
            pinned: BTreeMap::new(),
        }
    }

    /// Asks for work on a stream.
    pub fn ask(
        &mut self,
        stream: Handle,
        work: impl FnOnce(&mut Memory) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        self.streams.ask(&mut self.memory, stream, Work::Do(Box::new(work)))
    }

    /// The host waits in a function for some work.
    fn wait_for(&mut self, function: &'static str, work: Mark) -> Result<(), Fault> {
        if self.streams.synchronize(&mut self.memory, work)? {
            self.waits.waited(function);
        }
        Ok(())
    }

    /// The host waits in a function for a stream.
    pub fn wait(&mut self, function: &'static str, stream: Handle) -> Result<(), Fault> {
        self.wait_for(function, self.streams.all_of(stream))
    }

    /// The host waits in a function for all streams.
    pub fn wait_for_all(&mut self, function: &'static str) -> Result<(), Fault> {
        (0..self.streams.count()).try_for_each(|stream| self.wait(function, stream))
    }

    fn is_pinned(&self, address: usize, bytes: usize) -> Result<bool, Fault> {
        match self.pinned.range(..=address).next_back() {
            Some((from, len)) if address < from + len && address + bytes > from + len => {
                Fault::new("a copy goes beyond its pinned memory")
            }
            Some((from, len)) => Ok(address < from + len),
            None => Ok(false),
        }
    }

    /// A kernel, read when it is first launched.
    fn kernel(&mut self, function: Handle) -> Result<Arc<Kernel>, Fault> {
        let Some(found) = self.functions.get_mut(function.wrapping_sub(1)) else {
            return Fault::new("there is no such function");
        };
        if found.kernel.is_none() {
            found.kernel = Some(Arc::new(self.modules[found.module].kernel(&found.name)?));
        }
        Ok(found.kernel.clone().expect("it was just put there"))
    }
}

/// Does what a function does that only asks something of the driver.
fn answer(work: impl FnOnce(&mut Driver)) -> Status {
    let mut driver = device();
    if !driver.is_initialised {
        return NOT_INITIALIZED;
    }
    work(&mut driver);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: u32) -> Status {
    device().is_initialised = true;
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut i32) -> Status {
    *version = 13000;
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(_error: Status, name: *mut *const c_char) -> Status {
    *name = c"CUDA_ERROR_OF_THE_SIMULATOR".as_ptr();
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(error: Status, text: *mut *const c_char) -> Status {
    cuGetErrorName(error, text)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(found: *mut i32, _ordinal: i32) -> Status {
    answer(|_| *found = 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut i32) -> Status {
    answer(|_| *count = 1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut i32, attribute: i32, _device: i32) -> Status {
    const COMPUTE_CAPABILITY_MAJOR: i32 = 75;
    const MEMORY_POOLS_SUPPORTED: i32 = 115;
    answer(|_| {
        *value = match attribute {
            COMPUTE_CAPABILITY_MAJOR => 8,
            MEMORY_POOLS_SUPPORTED => 1,
            other => crate::fail(&Fault(format!("the device's attribute {other} is not simulated"))),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: i32) -> Status {
    answer(|driver| *bytes = driver.memory.info().1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut Handle, _device: i32) -> Status {
    answer(|_| *pool = 1)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemPoolSetAttribute(_pool: Handle, _attribute: i32, _value: *const c_void) -> Status {
    answer(|_| ())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Handle, _device: i32) -> Status {
    answer(|_| *context = 1)
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: i32) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: Handle) -> Status {
    answer(|_| CURRENT.set(context != 0))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetCurrent(context: *mut Handle) -> Status {
    answer(|_| *context = Handle::from(CURRENT.get()))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuStreamCreate(stream: *mut Handle, flags: u32) -> Status {
    const NON_BLOCKING: u32 = 1;
    call("cuStreamCreate", |driver| {
        if flags != NON_BLOCKING {
            return Fault::new("only streams that do not wait for the null stream are simulated");
        }
        *stream = driver.streams.create_stream();
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(_stream: Handle) -> Status {
    // Its work goes on.
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(stream: Handle) -> Status {
    call("cuStreamSynchronize", |driver| driver.wait("cuStreamSynchronize", stream).map(|()| SUCCESS))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(stream: Handle, event: Handle, _flags: u32) -> Status {
    call("cuStreamWaitEvent", |driver| {
        driver.streams.wait(&mut driver.memory, stream, event - 1).map(|()| SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventCreate(event: *mut Handle, flags: u32) -> Status {
    const DISABLE_TIMING: u32 = 2;
    call("cuEventCreate", |driver| {
        *event = driver.streams.create_event(flags & DISABLE_TIMING == 0) + 1;
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(_event: Handle) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: Handle, stream: Handle) -> Status {
    call("cuEventRecord", |driver| {
        driver.streams.record(&mut driver.memory, event - 1, stream).map(|()| SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: Handle) -> Status {
    call("cuEventSynchronize", |driver| {
        if let Some(work) = driver.streams.before(event - 1) {
            driver.wait_for("cuEventSynchronize", work)?;
        }
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime_v2(ms: *mut f32, from: Handle, to: Handle) -> Status {
    call("cuEventElapsedTime", |driver| {
        Ok(match driver.streams.elapsed(from - 1, to - 1) {
            Elapsed::Ms(elapsed) => {
                *ms = elapsed;
                SUCCESS
            }
            Elapsed::NotReady => NOT_READY,
            Elapsed::NeverRecorded => INVALID_HANDLE,
        })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuEventElapsedTime(ms: *mut f32, from: Handle, to: Handle) -> Status {
    cuEventElapsedTime_v2(ms, from, to)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: *mut Handle, image: *const u8) -> Status {
    call("cuModuleLoadData", |driver| {
        driver.modules.push(Module::new(fatbin::ptx(image)?));
        *module = driver.modules.len();
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(_module: Handle) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(
    function: *mut Handle,
    module: Handle,
    name: *const c_char,
) -> Status {
    call("cuModuleGetFunction", |driver| {
        let (name, module) = (CStr::from_ptr(name).to_string_lossy().into_owned(), module - 1);
        if !driver.modules[module].has(&name) {
            return Ok(NOT_FOUND);
        }
        driver.functions.push(Function { module, name, kernel: None });
        *function = driver.functions.len();
        Ok(SUCCESS)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    blocks_x: u32,
    blocks_y: u32,
    blocks_z: u32,
    threads_x: u32,
    threads_y: u32,
    threads_z: u32,
    shared: u32,
    stream: Handle,
    parameters: *const *const u8,
    extra: *const *const u8,
) -> Status {
    call("cuLaunchKernel", |driver| {
        let kernel = driver.kernel(function)?;
        driver.waits.launched(&kernel.name)?;
        let (blocks, threads) = ([blocks_x, blocks_y, blocks_z], [threads_x, threads_y, threads_z]);
        check_sizes(&kernel.name, blocks, threads)?;
        if shared > 0 || !extra.is_null() {
            return Fault::new("memory of a block by the launch, and extras, are not simulated");
        }
        let mut arguments = Vec::new();
        for (number, (at, bytes)) in kernel.parameters.iter().enumerate() {
            arguments.resize(*at, 0);
            arguments.extend_from_slice(std::slice::from_raw_parts(*parameters.add(number), *bytes));
        }
        let launch = Launch { kernel, blocks, threads, arguments, order: driver.streams.order };
        driver.ask(stream, move |memory| launch.run(memory))?;
        Ok(SUCCESS)
    })
}

/// The limits of all devices.
fn check_sizes(kernel: &str, blocks: [u32; 3], threads: [u32; 3]) -> Result<(), Fault> {
    let in_range = |sizes: [u32; 3], most: [u32; 3]| {
        sizes.iter().zip(most).all(|(size, most)| (1..=most).contains(size))
    };
    let fits = in_range(blocks, [i32::MAX as u32, 65535, 65535])
        && in_range(threads, [1024, 1024, 64])
        && threads.iter().product::<u32>() <= 1024;
    if fits {
        Ok(())
    } else {
        Fault::new(format!("kernel {kernel}: {blocks:?} blocks of {threads:?} threads"))
    }
}

not_simulated! {
    cuDestroyExternalMemory cuEventQuery cuExternalMemoryGetMappedBuffer cuImportExternalMemory cuModuleLoad
    cuOccupancyAvailableDynamicSMemPerBlock cuOccupancyMaxActiveBlocksPerMultiprocessor
    cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cuOccupancyMaxActiveClusters cuOccupancyMaxPotentialBlockSize
    cuOccupancyMaxPotentialBlockSizeWithFlags cuOccupancyMaxPotentialClusterSize cuProfilerStart cuProfilerStop
}

/// `libnvrtc.so.13`: nothing is to be compiled at run time.
mod nvrtc {
    crate::not_simulated! {
        nvrtcCompileProgram nvrtcCreateProgram nvrtcDestroyProgram nvrtcGetPTX nvrtcGetPTXSize nvrtcGetProgramLog
        nvrtcGetProgramLogSize
    }
}
