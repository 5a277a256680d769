//! What this process takes of the machine.

mod cores;

pub use self::cores::{CoreSet, cores, use_cores};

use std::time::Instant;

use cpu_time::ProcessTime;

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The program's own.
    pub own_mib: f64,
    /// Pages of mapped files, which the system takes back when it wants them.
    pub mapped_mib: f64,
}

impl Memory {
    /// As the system counts it; `None` where it does not say (it is asked through `/proc`).
    pub fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/self/status").ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let mib = |name: &str| -> Option<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
        };
        Some(Self { own_mib: mib("RssAnon")? + mib("RssShmem")?, mapped_mib: mib("RssFile")? })
    }
}

/// Keeps memory that was freed for the next request instead of giving it back to the system.
///
/// Every training step takes and frees the same large buffers; fresh pages for them cost a small network a fifth of its
/// step. Where the allocator is not glibc's, nothing is done.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the calls set numbers of the allocator, and come before any other thread is started.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
    }
}

/// The machine's name; `unknown` where the system does not say.
pub fn host() -> String {
    #[cfg(unix)]
    {
        let mut name = [0u8; 256];
        // SAFETY: the call writes at most so many bytes; where it fails or cuts the name off, the last one stays 0.
        unsafe {
            libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1);
        }
        let len = name.iter().position(|byte| *byte == 0).unwrap_or_default();
        if len > 0 {
            return String::from_utf8_lossy(&name[..len]).into_owned();
        }
    }
    "unknown".into()
}

/// Whether who started this process had it ignore a signal, as `nohup` does with SIGHUP.
#[cfg(unix)]
pub fn ignores(signal: libc::c_int) -> bool {
    // SAFETY: a zeroed `sigaction` is a valid value, and without a new action the call only fills it in.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Measures how many cores are busy.
pub struct CpuClock {
    processor: ProcessTime,
    wall: Instant,
}

impl CpuClock {
    /// From now on.
    pub fn start() -> Self {
        Self { processor: ProcessTime::now(), wall: Instant::now() }
    }

    /// Processor time over wall-clock time since the start, over all threads.
    pub fn cores_busy(&self) -> f64 {
        self.processor.elapsed().as_secs_f64() / self.wall.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status_page() {
        let status =
            "VmRSS:\t  4096 kB\nRssAnon:\t    2048 kB\nRssFile:\t    1024 kB\nRssShmem:\t    1024 kB\n";
        assert_eq!(Memory::parse(status), Some(Memory { own_mib: 3.0, mapped_mib: 1.0 }));
        assert_eq!(Memory::parse("VmRSS: 1 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(Memory::now().unwrap().own_mib > 0.1);
        }
    }
}
