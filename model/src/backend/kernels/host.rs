//! The kernels compiled as C++ on the host, once for all tests; without a compiler, tests print a line and skip.

use std::ffi::c_void;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use libloading::{Library, Symbol};

use dfdx::prelude::{Cpu, TensorFromVec};

use super::{Argument, Layout, Queue, SOURCES, THREADS};
use crate::backend::{Format, FormatKernel};

/// Runs kernels one after the other, a block's threads in rising or falling order.
pub(crate) struct Host {
    kernels: &'static Library,
    backwards: bool,
}

/// Calls `test` with both orders of threads: they must not matter.
pub(crate) fn on_host(test: impl Fn(&Host)) {
    static KERNELS: OnceLock<Option<Library>> = OnceLock::new();
    // Blocks and threads are numbered by globals.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let Some(kernels) = KERNELS.get_or_init(compile) else { return };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for backwards in [false, true] {
        test(&Host { kernels, backwards });
    }
}

fn compile() -> Option<Library> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    if !cfg!(target_os = "linux") || Command::new(&compiler).arg("--version").output().is_err() {
        println!("skipped: no C++ compiler (`{compiler}`) to compile the kernels for the host with");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("kernels.so");
    let cuda = Path::new(env!("CARGO_MANIFEST_DIR")).join("cuda");
    let output = Command::new(&compiler)
        .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-x", "c++", "-o"])
        .arg(&library)
        .args(SOURCES.map(|(source, _)| cuda.join(format!("{source}.cu"))))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // SAFETY: nothing runs when the library is loaded.
    Some(unsafe { Library::new(&library).unwrap() })
}

type Twin = unsafe extern "C" fn(u32, u32, u32, *mut *mut c_void, bool);

impl Queue for Host {
    type Err = libloading::Error;

    unsafe fn launch(
        &self,
        kernel: &'static str,
        (x, y): (u32, u32),
        arguments: &[Argument],
    ) -> Result<(), Self::Err> {
        let mut addresses: Vec<_> = arguments.iter().map(Argument::address).collect();
        // SAFETY: host.h defines each kernel's twin with this type, and the caller gives the kernel's arguments.
        unsafe {
            let twin: Symbol<'_, Twin> = self.kernels.get(format!("twin_{kernel}"))?;
            twin(x, y, THREADS, addresses.as_mut_ptr(), self.backwards);
        }
        Ok(())
    }
}

/// Numbers between -1 and 1, the same for the same seed.
pub(crate) fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Words of noise in a layout's format, each value changed by `of_noise` first.
pub(crate) fn noise_in(layout: &Layout, seed: u64, of_noise: impl Fn(f32) -> f32) -> Vec<f32> {
    let values = noise(seed, layout.in_format(Format::F32).len()).into_iter().map(of_noise).collect();
    in_format(&layout.in_format(Format::F32), layout.format, values)
}

/// Compares what lies so: as exactly as in [`assert_close`], or to the last bit of bf16.
pub(crate) fn assert_close_in(layout: &Layout, what: &str, found: &[f32], expected: &[f32]) {
    let single = |words: &[f32]| in_format(layout, Format::F32, words.to_vec());
    let tolerance = match layout.format {
        Format::F32 => 1e-5,
        Format::Bf16 => 1.0 / 128.0,
    };
    assert_near(what, &single(found), &single(expected), tolerance);
}

fn in_format(layout: &Layout, format: Format, words: Vec<f32>) -> Vec<f32> {
    let Layout { batch, channels, plane, .. } = *layout;
    let dev = Cpu::default();
    let x = dev.tensor_from_vec(words, (batch, layout.format.words(channels), plane));
    dev.convert(channels, &x, (batch, format.words(channels), plane)).unwrap().as_vec()
}

/// Compares with an error relative to the largest value.
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_near(what, found, expected, 1e-5);
}

fn assert_near(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * largest, "{what}[{i}]: {found}, expected {expected}");
    }
}

#[test]
fn every_kernel_is_listed_and_has_a_twin() {
    for (source, kernels) in SOURCES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("cuda/{source}.cu"));
        let text = std::fs::read_to_string(path).unwrap();
        let named = |before: &str, end: char| -> Vec<String> {
            let parts = text.split(before).skip(1);
            parts.map(|part| part.split(end).next().unwrap().to_owned()).collect()
        };
        assert_eq!(named("extern \"C\" __global__ void ", '('), kernels, "{source}");
        assert_eq!(named("\nTWIN(", ')'), kernels, "{source}");
    }
}
