//! NVIDIA's driver, cuBLAS and cuDNN as far as simsiam calls them, on the CPU: to test its CUDA code without a GPU.
//!
//! One library that stands for `libcuda.so.1`, `libcublas.so.13`, `libcudnn.so.9` and `libnvrtc.so.13`; `tools/cuda/simulate.sh`
//! puts it into a program's way. Kernels are run from the PTX that is in the program, those of simsiam and those of dfdx.
//! It is strict where a GPU is not: a value that is read before it is written, memory that was never allocated or is freed
//! already, two threads that use one value which one of them writes, pinned memory that changes before it is copied, a call
//! in a thread without a context, an instruction or a function that is not known here: all end the program with a line that
//! says where. Streams run as late as their events allow (`SIMULATOR_ORDER=late`, the default), or at once (`early`), or the
//! null stream late and others at once (`mixed`); late, blocks and warps run from the last to the first. What waits for the
//! wrong event, or for none, then computes with a batch that is not its own. `SIMULATOR_WAITS` counts how often the host waits.
//!
//! It says nothing of speed, nor of what cuDNN's own algorithms would choose to do.

#![allow(
    unsafe_op_in_unsafe_fn,
    non_snake_case,
    reason = "all that is unsafe are C functions, given what their documentation asks for"
)]

mod cublas;
mod cudnn;
mod driver;
mod fatbin;
mod memory;
mod ptx;
mod races;
mod streams;
mod waits;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use driver::Driver;
use memory::Fault;
use streams::Order;
use waits::Waits;

/// A function's status, as C sees it.
type Status = i32;

thread_local! {
    /// Whether the thread has a context.
    static CURRENT: Cell<bool> = const { Cell::new(false) };
}

/// The device, one caller at a time.
fn device() -> MutexGuard<'static, Driver> {
    static DEVICE: OnceLock<Mutex<Driver>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let order = match std::env::var("SIMULATOR_ORDER").as_deref() {
            Ok("early") => Order::Early,
            Ok("late") | Err(_) => Order::Late,
            Ok("mixed") => Order::Mixed,
            Ok(other) => fail(&Fault(format!("SIMULATOR_ORDER is {other}, not early, late or mixed"))),
        };
        let waits = Waits::new(number("SIMULATOR_WAITS"));
        Mutex::new(Driver::new(order, number("SIMULATOR_MIB").unwrap_or(4096) << 20, waits))
    });
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that the environment may give.
fn number(variable: &str) -> Option<usize> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| fail(&Fault(format!("{variable} is no number")))))
}

/// Ends the program, as no GPU would.
fn fail(Fault(text): &Fault) -> ! {
    eprintln!("simulated GPU: {text}");
    std::process::exit(99);
}

/// Does what a function does that works on the device, in a thread that must have a context.
fn call(name: &str, work: impl FnOnce(&mut Driver) -> Result<Status, Fault>) -> Status {
    if !CURRENT.get() {
        fail(&Fault(format!("{name} is called in a thread without a context")));
    }
    work(&mut device()).unwrap_or_else(|Fault(text)| fail(&Fault(format!("{name}: {text}"))))
}

/// Functions that are looked up but not simulated; a call ends the program.
macro_rules! not_simulated {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> $crate::Status {
            $crate::fail(&$crate::Fault(concat!(stringify!($name), " is not simulated").into()))
        }
    )*};
}
use not_simulated;
