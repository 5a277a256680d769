//! `--trace FILE`: what each thread does when, as Chrome and Perfetto read it (the Trace Event Format's complete events).
//!
//! Off, a measured piece of work pays for the load of a flag.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use simsiam_model::backend::cpu::profile;

use crate::error::InputError;

static IS_ON: AtomicBool = AtomicBool::new(false);
static TRACE: OnceLock<Trace> = OnceLock::new();

struct Trace {
    began: Instant,
    /// `None` once it has ended.
    out: Mutex<Option<BufWriter<File>>>,
}

/// A trace under way. Its file is whole when this value is dropped; of a process that is killed, viewers read what there is.
pub struct Tracing(());

/// A line of the file, but for what all have.
#[derive(Serialize)]
#[serde(untagged)]
enum Event<'a> {
    Complete { name: &'a str, ph: &'a str, pid: u32, tid: u32, ts: f64, dur: f64 },
    Metadata { name: &'a str, ph: &'a str, pid: u32, tid: u32, args: Name<'a> },
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

const PID: u32 = 1;

/// Writes what goes on from now on to `path`; once in a process.
///
/// # Errors
/// If the file is there already, or cannot be written.
pub fn start(path: &Path) -> Result<Tracing> {
    let file = File::create_new(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            InputError::new(format!("--trace {}: is there already", path.display())).into()
        }
        _ => anyhow::Error::from(error).context(format!("cannot write {}", path.display())),
    })?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    writeln!(out, "[").with_context(|| format!("cannot write {}", path.display()))?;
    let trace = TRACE.get_or_init(|| Trace { began: Instant::now(), out: Mutex::new(Some(out)) });
    trace.write(&Event::Metadata {
        name: "process_name",
        ph: "M",
        pid: PID,
        tid: 0,
        args: Name { name: "simsiam" },
    });
    profile::observe(note);
    simsiam_pipeline::stats::observe(note);
    IS_ON.store(true, Ordering::Release);
    Ok(Tracing(()))
}

/// Does a piece of work, and notes it where there is a trace.
pub fn timed<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    if !IS_ON.load(Ordering::Relaxed) {
        return work();
    }
    let began = Instant::now();
    let result = work();
    note(name, began, began.elapsed());
    result
}

/// Notes what this thread has done.
fn note(name: &'static str, began: Instant, took: Duration) {
    let Some(trace) = TRACE.get().filter(|_| IS_ON.load(Ordering::Relaxed)) else { return };
    let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
    let ts = micros(began.saturating_duration_since(trace.began));
    trace.write(&Event::Complete { name, ph: "X", pid: PID, tid: trace.thread(), ts, dur: micros(took) });
}

impl Trace {
    /// The number of this thread; the first time, its name is noted.
    fn thread(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        thread_local! {
            static NUMBER: Cell<Option<u32>> = const { Cell::new(None) };
        }
        NUMBER.get().unwrap_or_else(|| {
            let tid = NEXT.fetch_add(1, Ordering::Relaxed);
            NUMBER.set(Some(tid));
            let current = thread::current();
            let args = Name { name: current.name().unwrap_or("unnamed") };
            self.write(&Event::Metadata { name: "thread_name", ph: "M", pid: PID, tid, args });
            tid
        })
    }

    /// Appends an event. A trace on a full disk ends early, and the run goes on.
    fn write(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.extend_from_slice(b",\n");
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &mut *out
            && let Err(error) = file.write_all(&line)
        {
            *out = None;
            tracing::warn!("the trace ends here: {error}");
        }
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        IS_ON.store(false, Ordering::Release);
        let Some(trace) = TRACE.get() else { return };
        let out = trace.out.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut out) = out {
            // A last event, for there is no comma behind it.
            let end = Event::Metadata {
                name: "process_labels",
                ph: "M",
                pid: PID,
                tid: 0,
                args: Name { name: "end" },
            };
            let end = serde_json::to_string(&end).unwrap_or_default();
            if let Err(error) = writeln!(out, "{end}\n]").and_then(|()| out.flush()) {
                tracing::warn!("the trace is cut off: {error}");
            }
        }
    }
}
