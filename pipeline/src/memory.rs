//! Checks that the batches fit into memory before they are allocated: a failed allocation ends the process, and an
//! overcommitted one ends it later.

use std::fs;
use std::path::Path;

use crate::error::ConfigError;

/// Compares what is needed with what is available, both in bytes; `None` where the system does not say.
pub(crate) fn check(needed: u64, available: Option<u64>) -> Result<(), ConfigError> {
    match available {
        Some(available) if needed > available => Err(ConfigError::Memory { needed, available }),
        _ => Ok(()),
    }
}

/// Memory available without swapping, in bytes: the machine's, or less if a control group limits it.
pub fn available() -> Option<u64> {
    let machine = mem_available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = GROUPS.iter().find_map(|(folder, files)| files.left(Path::new(folder)));
    Some(group.map_or(machine, |left| machine.min(left)))
}

fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// A control group's limit and what it has taken of it, as a container sees its own: version 2, then version 1.
const GROUPS: [(&str, GroupFiles); 2] = [
    (
        "/sys/fs/cgroup",
        GroupFiles { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" },
    ),
    (
        "/sys/fs/cgroup/memory",
        GroupFiles {
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            reclaimable: "total_inactive_file",
        },
    ),
];

struct GroupFiles {
    limit: &'static str,
    usage: &'static str,
    /// The line of `memory.stat` that counts cached pages which the system takes back first, such as a shard's.
    reclaimable: &'static str,
}

impl GroupFiles {
    /// What the group in `folder` may still take, in bytes; `None` where there is no limit.
    fn left(&self, folder: &Path) -> Option<u64> {
        let read = |file| fs::read_to_string(folder.join(file)).ok();
        let limit: u64 = read(self.limit)?.trim().parse().ok()?;
        let usage: u64 = read(self.usage).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let reclaimable = read("memory.stat").and_then(|stat| {
            let line = stat.lines().find_map(|line| line.strip_prefix(self.reclaimable)?.strip_prefix(' '));
            line?.trim().parse().ok()
        });
        Some(limit.saturating_sub(usage.saturating_sub(reclaimable.unwrap_or(0))))
    }
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

    #[test]
    fn a_group_may_take_what_it_has_not_taken_or_can_give_back() {
        for (_, files) in GROUPS {
            let dir = tempfile::tempdir().unwrap();
            let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
            assert_eq!(files.left(dir.path()), None);
            write(files.limit, "1000\n");
            assert_eq!(files.left(dir.path()), Some(1000));
            write(files.usage, "700\n");
            assert_eq!(files.left(dir.path()), Some(300));
            let name = files.reclaimable;
            write("memory.stat", &format!("anon 100\n{name}_other 1\n{name} 600\n"));
            assert_eq!(files.left(dir.path()), Some(900));
            write(files.usage, "5000\n");
            assert_eq!(files.left(dir.path()), Some(0));
            write(files.limit, "max\n");
            assert_eq!(files.left(dir.path()), None);
        }
    }
}
