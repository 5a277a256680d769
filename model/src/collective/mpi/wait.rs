use std::thread;
use std::time::{Duration, Instant};

/// A pause between two questions whether an operation is done.
///
/// Operations of a few bytes are done in microseconds. Others wait for a rank that still computes, perhaps on the same cores: the longer one
/// takes, the less it is asked for. A thread that has slept is woken at once also on a busy machine, where one that yields waits for its
/// next turn.
pub(super) struct Wait(Instant);

const SPIN: Duration = Duration::from_micros(50);

impl Wait {
    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(super) fn pause(&mut self) {
        let waited = self.0.elapsed();
        if waited < SPIN {
            std::hint::spin_loop();
        } else {
            // A little of what was waited already; the system makes it 50 µs at least.
            thread::sleep((waited / 50).min(Duration::from_millis(1)));
        }
    }
}
