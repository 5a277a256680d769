//! Profiles a step: calls, time, arithmetic and memory traffic of each operation and shape.
//!
//! Off until [`start`] or [`observe`] is called. Then an operation costs two clock readings and a table look-up;
//! otherwise, the load of one flag.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Who wants to know: [`TABLE_IS_ON`], [`IS_OBSERVED`].
static LISTENERS: AtomicU8 = AtomicU8::new(0);
const TABLE_IS_ON: u8 = 1;
const IS_OBSERVED: u8 = 2;
static OBSERVER: OnceLock<Observer> = OnceLock::new();
static TABLE: Mutex<BTreeMap<(&'static str, String), Totals>> = Mutex::new(BTreeMap::new());

/// All calls of one operation with one shape.
#[derive(Clone, Debug)]
pub struct OperationProfile {
    /// The operation, such as `conv2d` or `conv2d weight gradient`.
    pub operation: &'static str,
    /// Its sizes, such as `128x16x32x32 -> 16, 3x3`.
    pub shape: String,
    /// The totals of its calls.
    pub totals: Totals,
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Number of calls.
    pub calls: u64,
    /// Wall-clock time.
    pub time: Duration,
    /// Additions and multiplications by the operation's definition.
    pub flops: f64,
    /// Bytes of the operands and results, counted once each.
    pub bytes: f64,
}

/// What one call has to do.
#[derive(Clone, Copy)]
pub(super) struct Work {
    pub(super) flops: f64,
    /// Values of four bytes that are read or written.
    pub(super) values: usize,
}

/// A callback for each call of an operation: its name, start and duration.
pub type Observer = fn(&'static str, Instant, Duration);

/// Calls `observer` for each call from now on, on the thread of the call. Only the first observer is registered.
pub fn observe(observer: Observer) {
    let _ = OBSERVER.set(observer);
    LISTENERS.fetch_or(IS_OBSERVED, Ordering::Relaxed);
}

/// Clears the table and starts recording.
pub fn start() {
    table().clear();
    LISTENERS.fetch_or(TABLE_IS_ON, Ordering::Relaxed);
}

/// Stops recording and returns the table, longest time first.
pub fn stop() -> Vec<OperationProfile> {
    LISTENERS.fetch_and(!TABLE_IS_ON, Ordering::Relaxed);
    let entries = std::mem::take(&mut *table()).into_iter();
    let mut found: Vec<_> =
        entries.map(|((operation, shape), totals)| OperationProfile { operation, shape, totals }).collect();
    found.sort_by_key(|entry| std::cmp::Reverse(entry.totals.time));
    found
}

fn table() -> std::sync::MutexGuard<'static, BTreeMap<(&'static str, String), Totals>> {
    TABLE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs one call of an operation.
#[inline]
pub(super) fn record<R>(
    operation: &'static str,
    shape: impl FnOnce() -> String,
    work: Work,
    call: impl FnOnce() -> R,
) -> R {
    let listeners = LISTENERS.load(Ordering::Relaxed);
    if listeners == 0 {
        return call();
    }
    let began = Instant::now();
    let result = call();
    let took = began.elapsed();
    if listeners & TABLE_IS_ON != 0 {
        add(operation, shape(), work, took);
    }
    if let Some(observer) = OBSERVER.get() {
        observer(operation, began, took);
    }
    result
}

/// Tells the observer of a call that is no operation of the device, such as communication.
#[inline]
pub(crate) fn observed<R>(name: &'static str, call: impl FnOnce() -> R) -> R {
    if LISTENERS.load(Ordering::Relaxed) & IS_OBSERVED == 0 {
        return call();
    }
    let began = Instant::now();
    let result = call();
    if let Some(observer) = OBSERVER.get() {
        observer(name, began, began.elapsed());
    }
    result
}

fn add(operation: &'static str, shape: String, work: Work, time: Duration) {
    let mut table = table();
    let totals = table.entry((operation, shape)).or_default();
    totals.calls += 1;
    totals.time += time;
    totals.flops += work.flops;
    totals.bytes += 4.0 * work.values as f64;
}
