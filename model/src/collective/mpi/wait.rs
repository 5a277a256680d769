use std::thread;
use std::time::{Duration, Instant};

/// A pause between two questions whether an operation is done.
///
/// Operations of a few bytes are done in microseconds. Others wait for a rank that still computes, perhaps on the same
/// cores: the longer one takes, the less it is asked for.
pub(super) struct Wait(Instant);

const SPIN: Duration = Duration::from_micros(20);
const YIELD: Duration = Duration::from_micros(500);

impl Wait {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn pause(&mut self) {
        match self.0.elapsed() {
            waited if waited < SPIN => std::hint::spin_loop(),
            waited if waited < YIELD => thread::yield_now(),
            // A hundredth more than was waited already, up to a millisecond.
            waited => thread::sleep((waited / 100).min(Duration::from_millis(1))),
        }
    }
}
