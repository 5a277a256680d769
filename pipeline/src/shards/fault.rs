//! Handles faults on mapped pages that the file no longer has.
//!
//! Access to a mapped page past the end of its file, or one that the disk cannot deliver, raises SIGBUS, which ends the
//! process. A handler, installed with the first mapping, looks up the address in a fixed table of this crate's
//! mappings. If one contains it, pages of zeros replace the rest of that mapping, the table records where they begin,
//! and the faulting load is repeated. Any other fault goes to the previous handler, such as Rust's own, which reports
//! stack overflows.
//!
//! A handler may only use async-signal-safe operations: here atomics in a static table, and the system call `mmap`. It
//! restores `errno`.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use libc::{c_int, c_void, siginfo_t};

/// Linux allows 65,530 mappings a process by default (`vm.max_map_count`), so this is no tighter bound.
const SLOTS: usize = 1 << 16;

/// All zeros to begin with, so that it takes no room in the binary, nor in memory before it is used.
static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
/// Slots from this index on were never used.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Where to look for a free slot first.
static FREE_HINT: AtomicUsize = AtomicUsize::new(0);
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
/// In bytes; set before the handler is installed.
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);

/// Keeps a mapping in the table for as long as it lives. Drop it before the memory is unmapped.
#[derive(Debug)]
pub(super) struct Registration {
    index: usize,
    start: usize,
}

impl Registration {
    /// Guards the `len` mapped bytes from `start`, which is the beginning of a page.
    pub(super) fn new(start: *const u8, len: usize) -> io::Result<Registration> {
        install_handler()?;
        let start = start.addr();
        let index = claim(start, start + len).ok_or_else(|| {
            io::Error::new(io::ErrorKind::QuotaExceeded, format!("{SLOTS} files are mapped already"))
        })?;
        Ok(Registration { index, start })
    }

    /// Bytes from the mapping's start that are still the file's; `usize::MAX` when no page was lost.
    pub(super) fn intact_until(&self) -> usize {
        // Bytes that were read before this call are not to be read after the mark.
        fence(Ordering::Acquire);
        match !TABLE[self.index].lost.load(Ordering::Acquire) {
            usize::MAX => usize::MAX,
            first_lost => first_lost - self.start,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        TABLE[self.index].release();
        FREE_HINT.fetch_min(self.index, Ordering::Relaxed);
    }
}

fn claim(start: usize, end: usize) -> Option<usize> {
    let hint = FREE_HINT.load(Ordering::Relaxed).min(SLOTS);
    let index = (hint..SLOTS).chain(0..hint).find(|&index| TABLE[index].try_claim(start, end))?;
    FREE_HINT.store(index + 1, Ordering::Relaxed);
    USED.fetch_max(index + 1, Ordering::Release);
    Some(index)
}

/// The range of one mapping, behind a seqlock: the handler cannot wait for a slot that changes hands, and need
/// not, because the slot of the mapping that faulted is not released while someone reads from the mapping.
#[derive(Debug)]
struct Slot {
    /// Odd while `start` and `end` are a live mapping's.
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    /// The complement of the address of the first page that reads as zeros; 0 while there is none.
    lost: AtomicUsize,
}

/// `start` of a slot that has no mapping.
const FREE: usize = 0;
/// `start` of a slot that is about to get one; no mapping begins at address 1.
const CLAIMED: usize = 1;

impl Slot {
    const fn new() -> Slot {
        Slot {
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(FREE),
            end: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
        }
    }

    fn try_claim(&self, start: usize, end: usize) -> bool {
        if self.start.load(Ordering::Relaxed) != FREE
            || self.start.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return false;
        }
        // Whoever sees the new range sees the even version, too, that the last owner left.
        fence(Ordering::Release);
        self.lost.store(0, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::Release);
        true
    }

    fn release(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
        self.start.store(FREE, Ordering::Release);
    }

    /// The end of this slot's mapping, if `address` is in it.
    fn end_of_mapping_with(&self, address: usize) -> Option<usize> {
        let version = self.version.load(Ordering::Acquire);
        let (start, end) = (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let consistent = version % 2 == 1 && version == self.version.load(Ordering::Relaxed);
        (consistent && (start..end).contains(&address)).then_some(end)
    }
}

fn install_handler() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        // SAFETY: sysconf only reads a constant of the system.
        PAGE_SIZE.store(unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize, Ordering::Relaxed);
        let action: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
        // SAFETY: an all-zero `sigaction` is a valid value of this C struct, and the fields that matter are set below.
        let (mut ours, mut previous): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
        ours.sa_sigaction = action as *const () as usize;
        // ONSTACK, because Rust's handler behind this one must also run when the stack has overflowed.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: both pointers are to live structs of the right type. The handler only does what a signal handler
        // may do (see the module's documentation), and PREVIOUS is set before it can run.
        let rc = unsafe {
            libc::sigemptyset(&mut ours.sa_mask);
            if libc::sigaction(libc::SIGBUS, ptr::null(), &mut previous) == 0 {
                PREVIOUS.get_or_init(|| previous);
                libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut())
            } else {
                -1
            }
        };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error().raw_os_error().unwrap_or_default()) }
    });
    installed.map_err(io::Error::from_raw_os_error)
}

extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler that was installed with SA_SIGINFO.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    // Other codes say that some process sent the signal: there is no address then.
    let is_fault = code > 0;
    if !(is_fault && replace_lost_pages(address)) {
        forward(signal, is_fault, info, context);
    }
}

/// Maps zeros over the page with `address` and all behind it, if a registered mapping has it.
fn replace_lost_pages(address: usize) -> bool {
    let used = USED.load(Ordering::Acquire);
    for slot in &TABLE[..used] {
        let Some(end) = slot.end_of_mapping_with(address) else { continue };
        let page = address & !(PAGE_SIZE.load(Ordering::Relaxed) - 1);
        // Before the pages are replaced: whoever reads a zero must find the mark.
        slot.lost.fetch_max(!page, Ordering::Release);
        let errno = errno();
        // SAFETY: `errno` is this thread's, and valid as long as the thread is.
        let before = unsafe { errno.read() };
        // SAFETY: from `page` to `end` is memory that a `Mapping` owns: it is registered, and stays mapped
        // while the thread that faulted reads it. It is only read, as bytes, and any bytes are valid.
        let mapped = unsafe {
            libc::mmap(
                ptr::without_provenance_mut(page),
                end - page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        // SAFETY: as above. The code that faulted may be between a call and a look at its error.
        unsafe { errno.write(before) };
        return mapped != libc::MAP_FAILED;
    }
    false
}

/// Where the thread's last error is.
fn errno() -> *mut c_int {
    // SAFETY: both only compute an address.
    #[cfg(target_os = "linux")]
    return unsafe { libc::__errno_location() };
    #[cfg(not(target_os = "linux"))]
    return unsafe { libc::__error() };
}

/// Does what would have happened without this handler.
fn forward(signal: c_int, is_fault: bool, info: *mut siginfo_t, context: *mut c_void) {
    let handler = PREVIOUS.get().map_or(libc::SIG_DFL, |previous| previous.sa_sigaction);
    let takes_info = PREVIOUS.get().is_some_and(|previous| previous.sa_flags & libc::SA_SIGINFO != 0);
    if handler == libc::SIG_IGN && !is_fault {
        // Ignored, as before.
    } else if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        // SAFETY: both calls are async-signal-safe. The signal is blocked until this handler returns, and ends the
        // process then; a fault cannot be ignored.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    } else if takes_info {
        // SAFETY: whoever installed this address with SA_SIGINFO vouched for it having this signature.
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(handler) };
        handler(signal, info, context);
    } else {
        // SAFETY: whoever installed this address without SA_SIGINFO vouched for it having this signature.
        let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the upper half of the addresses, where no real mapping is that another test could fault in.
    fn register(number: usize) -> Registration {
        Registration::new(ptr::without_provenance(usize::MAX / 2 + number), 1).unwrap()
    }

    #[test]
    fn slots_are_used_again() {
        let kept: Vec<_> = (1..100).map(register).collect();
        for number in 100..3 * SLOTS {
            drop(register(number));
        }
        let used = USED.load(Ordering::Relaxed);
        assert!(used < 2_000, "{used} slots");
        drop(kept);
    }

    #[test]
    fn a_slot_knows_its_mapping_while_it_has_one() {
        let slot = Slot::new();
        assert_eq!(slot.end_of_mapping_with(0), None);
        assert!(slot.try_claim(1000, 2000));
        assert!(!slot.try_claim(3000, 4000));
        assert_eq!(
            [999, 1000, 1999, 2000].map(|at| slot.end_of_mapping_with(at)),
            [None, Some(2000), Some(2000), None]
        );
        slot.release();
        assert_eq!(slot.end_of_mapping_with(1500), None);
        assert!(slot.try_claim(3000, 4000));
        assert_eq!([1500, 3500].map(|at| slot.end_of_mapping_with(at)), [None, Some(4000)]);
    }
}
