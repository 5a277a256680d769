//! Whether the batches fit into memory, asked before there are any: an allocation that fails ends the process, and one
//! that is granted on credit ends it later.

use std::fs;

use crate::error::ConfigError;

/// Compares what is needed with what is available, both in bytes; `None` where the system does not say.
pub(crate) fn check(needed: u64, available: Option<u64>) -> Result<(), ConfigError> {
    match available {
        Some(available) if needed > available => Err(ConfigError::Memory { needed, available }),
        _ => Ok(()),
    }
}

/// Memory that can be had without swapping, in bytes: the machine's, or less where a control group allows less.
pub(crate) fn available() -> Option<u64> {
    let machine = mem_available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    Some(group_limit().map_or(machine, |limit| machine.min(limit)))
}

fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What this process's control group may take in all, as a container sees it; `None` where there is no limit.
fn group_limit() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        assert!(check(1 << 30, Some(1 << 30)).is_ok());
        assert!(check(u64::MAX, None).is_ok());
        let error = check(3 << 30, Some(1 << 30)).unwrap_err().to_string();
        assert!(error.starts_with("the pipeline's batches need 3072 MiB, of 1024 MiB of memory"), "{error}");
    }

    #[test]
    fn the_systems_page_is_understood() {
        assert_eq!(mem_available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(mem_available("MemTotal: 9 kB\n"), None);
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
