//! The cores that this process uses.

use std::sync::OnceLock;
use std::thread::available_parallelism;

/// Where others share the machine, as was agreed with them.
static SHARE: OnceLock<usize> = OnceLock::new();

/// Cores for the threads that nobody gave a number for.
pub fn cores() -> usize {
    SHARE.get().copied().unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
}

/// Limits them, and the threads that the model computes on, unless `RAYON_NUM_THREADS` says how many. Called once, before the model
/// computes.
///
/// # Errors
/// If the threads cannot be started.
pub fn use_cores(share: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    let share = *SHARE.get_or_init(|| share);
    if std::env::var_os("RAYON_NUM_THREADS").is_some() {
        return Ok(());
    }
    rayon::ThreadPoolBuilder::new().num_threads(share).build_global()
}

const WORDS: usize = 16;

/// Some of the first 1,024 cores of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreSet(pub [u64; WORDS]);

impl CoreSet {
    /// The cores that this process may run on; none where the system does not say.
    pub fn of_process() -> Self {
        Self::of(0)
    }

    /// The cores of what started this process.
    pub fn of_parent() -> Self {
        #[cfg(unix)]
        return Self::of(std::os::unix::process::parent_id());
        #[cfg(not(unix))]
        Self::default()
    }

    #[cfg(target_os = "linux")]
    fn of(process: u32) -> Self {
        let mut set = Self::default();
        // SAFETY: the call writes at most so many bytes, any of which are valid; where it fails, it writes none.
        unsafe {
            libc::sched_getaffinity(process.cast_signed(), size_of_val(&set.0), set.0.as_mut_ptr().cast());
        }
        set
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: u32) -> Self {
        Self::default()
    }

    /// A set that was exchanged.
    ///
    /// # Panics
    /// If there are not as many words as a set has.
    pub fn from_words(words: &[u64]) -> Self {
        Self(words.try_into().expect("a set has its number of words"))
    }

    /// Those that are in any of the sets.
    pub fn union(sets: &[&Self]) -> Self {
        let mut union = Self::default();
        for set in sets {
            union.0.iter_mut().zip(set.0).for_each(|(union, word)| *union |= word);
        }
        union
    }

    /// Whether a core is one of them.
    pub fn has(&self, core: usize) -> bool {
        self.0[core / 64] >> (core % 64) & 1 == 1
    }

    /// Number of cores.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their numbers.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..64 * WORDS).filter(|core| self.has(*core))
    }
}

impl FromIterator<usize> for CoreSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        let mut set = Self::default();
        cores.into_iter().for_each(|core| set.0[core / 64] |= 1 << (core % 64));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let (a, b): (CoreSet, CoreSet) =
            ([0, 63, 64, 1023].into_iter().collect(), [1, 64].into_iter().collect());
        assert_eq!(a.iter().collect::<Vec<_>>(), [0, 63, 64, 1023]);
        assert_eq!((a.len(), b.len(), CoreSet::union(&[&a, &b]).len()), (4, 2, 5));
        assert!(CoreSet::default().is_empty());
        if cfg!(target_os = "linux") {
            assert!(!CoreSet::of_process().is_empty() && !CoreSet::of_parent().is_empty());
        }
    }
}
