//! Ranks that are processes, started by `mpirun` or another launcher of MPI.
//!
//! No thread blocks in MPI: an operation is started and then polled. A separate thread, the [`pulse`], can therefore
//! send heartbeats whatever the main thread does, and notices when another rank stops sending them. It also polls
//! operations that the main thread has begun and does not wait for yet. One thread at a time calls MPI.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

use mpi_sys as ffi;

use super::{Collective, Exchange};

mod flight;
use flight::Flight;

mod pulse;
use pulse::Pulse;

mod trouble;
pub use trouble::{Member, StartError, Trouble};

mod wait;
use wait::Wait;

/// A rank started by an MPI launcher.
pub struct Mpi {
    shared: Arc<Shared>,
    pulse: Mutex<Option<JoinHandle<()>>>,
}

/// What the main thread and the pulse have in common.
struct Shared {
    rank: usize,
    hosts: Vec<String>,
    silence: Duration,
    tell: Box<dyn Fn(&Trouble) + Send + Sync>,
    /// Whoever holds it may call MPI.
    engine: Mutex<Engine>,
    is_over: AtomicBool,
}

struct Engine {
    pulse: Pulse,
    /// Operations begun so far.
    operations: u64,
    /// Since when one has been waited for.
    since: Option<Instant>,
    /// Those that are not waited for yet.
    flights: Vec<Flight>,
}

// SAFETY: what is not `Send` in it are MPI's handles of requests, which any thread may use that may call MPI.
unsafe impl Send for Engine {}

/// Most bytes of a rank that an operation takes: MPI counts them in 31 bits.
const LARGEST: usize = 1 << 30;
/// Values that are added up at once: few enough that another operation does not wait long.
const SUMMED: usize = 1 << 20;
/// How often an operation that nobody waits for is asked for.
const PROGRESS: Duration = Duration::from_millis(1);
/// Bytes of a machine's name.
const NAME: usize = 256;
/// How long the launcher may take to pass on what was told.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long MPI may take to end the others.
const ABORT: Duration = Duration::from_secs(5);

impl Mpi {
    /// Joins the ranks that were started together. If a rank sends no heartbeat for `silence`, the rank that notices
    /// calls `tell` with the reason and ends all.
    ///
    /// # Errors
    /// If this process has already joined, or MPI cannot be used from two threads. If MPI cannot reach the other ranks,
    /// it ends the process itself.
    pub fn start(
        silence: Duration,
        tell: impl Fn(&Trouble) + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let (mut was_started, mut threads, mut rank, mut size) = (0, 0, 0, 0);
        let serialized;
        // SAFETY: the calls write to the variables alone, and come in the order that MPI wants.
        unsafe {
            ffi::MPI_Initialized(&raw mut was_started);
            if was_started != 0 {
                return Err(StartError::Again);
            }
            serialized = ffi::RSMPI_THREAD_SERIALIZED;
            let no_arguments = (std::ptr::null_mut(), std::ptr::null_mut());
            ffi::MPI_Init_thread(no_arguments.0, no_arguments.1, serialized, &raw mut threads);
            ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN);
            ffi::MPI_Comm_rank(ffi::RSMPI_COMM_WORLD, &raw mut rank);
            ffi::MPI_Comm_size(ffi::RSMPI_COMM_WORLD, &raw mut size);
        }
        if threads < serialized {
            return Err(StartError::Threads);
        }
        let (rank, size) = (rank as usize, size as usize);
        let engine =
            Engine { pulse: Pulse::start(rank, size), operations: 0, since: None, flights: Vec::new() };
        let mut shared = Shared {
            rank,
            hosts: vec![own_host(); size],
            silence,
            tell: Box::new(tell),
            engine: Mutex::new(engine),
            is_over: AtomicBool::new(false),
        };
        shared.hosts = shared.all_hosts();
        let shared = Arc::new(shared);
        let watched = shared.clone();
        let pulse = Builder::new().name("ss-pulse".into()).spawn(move || watched.watch());
        let pulse = pulse.map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self { shared, pulse: Mutex::new(Some(pulse)) })
    }

    /// The host of each rank.
    pub fn hosts(&self) -> &[String] {
        &self.shared.hosts
    }

    /// This rank.
    pub fn member(&self) -> Member {
        self.shared.member(self.shared.rank)
    }

    /// Ends this process and all other ranks, with this exit code.
    pub fn end_all(&self, code: u8) -> ! {
        let engine = self.shared.lock();
        end_all(engine, code)
    }

    /// Waits until all ranks have finished, and finalises MPI. Called once, by the thread that started it.
    pub fn finish(&self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let pulse = self.lock_pulse().take();
        if let Some(pulse) = pulse {
            pulse.thread().unpark();
            // Its panic is a fault of this program, and no reason to leave the others alone now.
            let _ = pulse.join();
        }
        let mut wait = Wait::begin();
        while !self.shared.lock().pulse.part() {
            self.shared.end_if_silent();
            wait.pause();
        }
        // SAFETY: the pulse has ended, and no request is pending.
        unsafe {
            ffi::MPI_Finalize();
        }
    }

    fn lock_pulse(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(&self, rank: usize) -> Member {
        Member { rank, host: self.hosts[rank].clone() }
    }

    fn all_hosts(&self) -> Vec<String> {
        let size = self.hosts.len();
        let mut own = self.hosts[self.rank].clone().into_bytes();
        own.resize(NAME, 0);
        let mut all = vec![0; size * NAME];
        self.all_gather(&own, &mut all, LARGEST);
        let name = |name: &[u8]| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
        all.chunks_exact(NAME).map(name).collect()
    }

    /// The life of the pulse.
    fn watch(&self) {
        let (mut told, mut tick) = (Duration::ZERO, Instant::now());
        while !self.is_over.load(Ordering::Relaxed) {
            let is_flying = self.advance();
            thread::park_timeout(if is_flying { PROGRESS } else { pulse::TICK });
            if tick.elapsed() < pulse::TICK {
                continue;
            }
            tick = Instant::now();
            let late = {
                let mut engine = self.lock();
                let operations = engine.operations;
                engine.pulse.tick(operations);
                engine.late()
            };
            self.end_if_silent();
            match late {
                Some((rank, waited)) if waited >= (2 * told).max(pulse::LATE) => {
                    told = waited;
                    let (waiting, late) = (self.member(self.rank), self.member(rank));
                    (self.tell)(&Trouble::Late { waiting, late, seconds: waited.as_secs() });
                }
                Some(_) => {}
                None => told = Duration::ZERO,
            }
        }
    }

    fn end_if_silent(&self) {
        let engine = self.lock();
        if let Some((rank, silence)) = engine.pulse.silent(self.silence) {
            let (silent, ending) = (self.member(rank), self.member(self.rank));
            (self.tell)(&Trouble::Silent { silent, ending, seconds: silence.as_secs() });
            end_all(engine, 1);
        }
    }

    /// An operation from its beginning to its end; what it reads and writes must be there until this returns.
    fn complete(&self, begin: impl FnOnce(*mut ffi::MPI_Request) -> i32) {
        // SAFETY: a constant of the library.
        let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
        let mut engine = self.lock();
        engine.operations += 1;
        match begin(&raw mut request) {
            code if code == ffi::MPI_SUCCESS as i32 => drop(engine),
            code => self.fail(engine, code),
        }
        self.wait_until(|_| {
            let mut is_done = 0;
            // SAFETY: the request was begun above, and is asked for by this thread alone.
            match unsafe { ffi::MPI_Test(&raw mut request, &raw mut is_done, ffi::RSMPI_STATUS_IGNORE) } {
                code if code == ffi::MPI_SUCCESS as i32 => Ok(is_done != 0),
                code => Err(code),
            }
        });
    }

    /// Asks until something is done. What fails with one of MPI's codes ends all.
    fn wait_until(&self, mut is_done: impl FnMut(&mut Engine) -> Result<bool, i32>) {
        let mut wait = Wait::begin();
        self.lock().since = Some(Instant::now());
        loop {
            let mut engine = self.lock();
            match is_done(&mut engine) {
                Ok(true) => break engine.since = None,
                Ok(false) => drop(engine),
                Err(code) => self.fail(engine, code),
            }
            wait.pause();
        }
    }

    fn fail(&self, engine: MutexGuard<'_, Engine>, code: i32) -> ! {
        (self.tell)(&Trouble::Failed { member: self.member(self.rank), text: error_text(code) });
        end_all(engine, 1)
    }

    /// In pieces of at most `largest` bytes of each rank.
    fn all_gather(&self, own: &[u8], all: &mut [u8], largest: usize) {
        assert_eq!(all.len(), self.hosts.len() * own.len(), "room for what each rank gives");
        if own.len() > largest {
            let mut gathered = vec![0; self.hosts.len() * largest];
            for (index, piece) in own.chunks(largest).enumerate() {
                let gathered = &mut gathered[..self.hosts.len() * piece.len()];
                self.all_gather(piece, gathered, largest);
                for (rank, piece) in gathered.chunks_exact(piece.len()).enumerate() {
                    let start = rank * own.len() + index * largest;
                    all[start..start + piece.len()].copy_from_slice(piece);
                }
            }
        } else if !own.is_empty() {
            // SAFETY: both are borrowed until the operation is done.
            self.complete(|request| unsafe { begin_gather(own, all, request) });
        }
    }
}

impl Engine {
    /// The rank that this one has waited for since when, where it waits.
    fn late(&self) -> Option<(usize, Duration)> {
        let (waited, late) = (self.since?.elapsed(), self.pulse.behind(self.operations)?);
        Some((late, waited))
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.shared.rank
    }

    fn size(&self) -> usize {
        self.shared.hosts.len()
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) {
        self.shared.all_gather(own, all, LARGEST);
    }

    fn begin_all_gather(&self, own: Vec<f32>) -> Box<dyn Exchange> {
        assert!(size_of_val(&*own) <= LARGEST, "more bytes than MPI counts");
        let piece = own.len().max(1);
        // SAFETY: the flight keeps both until the operation is done.
        self.depart(own, (piece, self.size()), |own, all, request| unsafe {
            begin_gather(bytemuck::cast_slice(own), bytemuck::cast_slice_mut(all), request)
        })
    }

    fn begin_all_reduce(&self, values: Vec<f32>) -> Box<dyn Exchange> {
        // SAFETY: the flight keeps both until the operation is done.
        self.depart(values, (SUMMED, 1), |own, sums, request| unsafe { begin_sum(own, sums, request) })
    }
}

/// Begins to gather `own` of each rank.
///
/// # Safety
/// Both stay where they are, and unused, until the request is done.
unsafe fn begin_gather(own: &[u8], all: &mut [u8], request: *mut ffi::MPI_Request) -> i32 {
    let (from, to, len) = (own.as_ptr().cast(), all.as_mut_ptr().cast(), own.len() as i32);
    // SAFETY: `all` has room for the `len` bytes of each rank, and the caller keeps both.
    unsafe {
        let (byte, world) = (ffi::RSMPI_UINT8_T, ffi::RSMPI_COMM_WORLD);
        ffi::MPI_Iallgather(from, len, byte, to, len, byte, world, request)
    }
}

/// Begins to sum `own` over the ranks.
///
/// # Safety
/// Both stay where they are, and unused, until the request is done.
unsafe fn begin_sum(own: &[f32], sums: &mut [f32], request: *mut ffi::MPI_Request) -> i32 {
    let (from, to, len) = (own.as_ptr().cast(), sums.as_mut_ptr().cast(), own.len() as i32);
    // SAFETY: both have `len` values, and the caller keeps them.
    unsafe {
        let (float, sum) = (ffi::RSMPI_FLOAT, ffi::RSMPI_SUM);
        ffi::MPI_Iallreduce(from, to, len, float, sum, ffi::RSMPI_COMM_WORLD, request)
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mpi").field("rank", &self.shared.rank).field("hosts", &self.shared.hosts).finish()
    }
}

/// Ends this process and all others. MPI is not called by any other thread meanwhile.
fn end_all(_engine: MutexGuard<'_, Engine>, code: u8) -> ! {
    // What was told last is on its way through the launcher, which drops it when it ends.
    thread::sleep(LAST_WORDS);
    // A launcher that does not answer does not keep this process.
    let last_resort = Builder::new().name("ss-abort".into()).spawn(|| {
        thread::sleep(ABORT);
        std::process::abort();
    });
    drop(last_resort);
    // SAFETY: this thread holds the engine.
    unsafe {
        ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code.into());
    }
    std::process::abort()
}

fn own_host() -> String {
    let (mut name, mut len) = ([0u8; NAME], 0);
    // SAFETY: `NAME` is at least MPI's longest name with its end, which is asserted first.
    unsafe {
        assert!(ffi::RSMPI_MAX_PROCESSOR_NAME as usize <= NAME, "a machine's name fits");
        ffi::MPI_Get_processor_name(name.as_mut_ptr().cast(), &raw mut len);
    }
    String::from_utf8_lossy(&name[..len as usize]).into_owned()
}

fn error_text(code: i32) -> String {
    const LONGEST: usize = 1024;
    let (mut text, mut len) = ([0u8; LONGEST], 0);
    // SAFETY: no implementation has longer texts: 256 bytes in Open MPI, 512 in MPICH.
    unsafe {
        ffi::MPI_Error_string(code, text.as_mut_ptr().cast(), &raw mut len);
    }
    String::from_utf8_lossy(&text[..len as usize]).into_owned()
}

#[cfg(test)]
mod tests;
