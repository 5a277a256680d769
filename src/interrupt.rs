//! Signals: to end a run, to save it, and those that must not kill it.
//!
//! | signal | what it does |
//! |---|---|
//! | SIGINT (Ctrl-C), SIGTERM, SIGHUP | finishes the current step, saves the run and ends it |
//! | SIGINT after any of these | ends it immediately |
//! | SIGUSR1 | finishes the current step, saves the run and continues |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGUSR1, SIGXFSZ};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::INTERRUPTED;
#[cfg(unix)]
use crate::process::ignores;

/// What the user or the system has asked of the program.
#[derive(Clone, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    save: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens for the signals.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let interrupt = Self::default();
        // In this order: a second Ctrl-C finds the flag set and exits. Of the others a second one means nothing: `timeout`
        // sends its signal twice, and so does a terminal that closes.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), interrupt.stop.clone())?;
        flag::register(SIGINT, interrupt.stop.clone())?;
        flag::register(SIGTERM, interrupt.stop.clone())?;
        #[cfg(unix)]
        {
            // `nohup` has it ignored.
            if !ignores(SIGHUP) {
                flag::register(SIGHUP, interrupt.stop.clone())?;
            }
            flag::register(SIGUSR1, interrupt.save.clone())?;
        }
        Ok(interrupt)
    }

    /// One that has been asked to stop.
    #[cfg(test)]
    pub(crate) fn raised() -> Self {
        Self { stop: Arc::new(true.into()), save: Arc::default() }
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is set when it is time to stop.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Whether to save, since this was last asked.
    pub fn take_save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }

    /// For work that has nothing to save.
    ///
    /// # Errors
    /// If it is time to stop.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_set() { Err(Interrupted) } else { Ok(()) }
    }
}

/// The user or the system asked the program to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Lets a write beyond the limit on a file's size (`ulimit -f`) fail as on a full disk; the signal would kill the program.
///
/// # Errors
/// If the system refuses a handler.
pub fn survive_file_size_limit() -> std::io::Result<()> {
    #[cfg(unix)]
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}
