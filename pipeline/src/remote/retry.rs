//! Retries within limits.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::{Cause, Location, RemoteError};

/// No pause between two tries is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// How often, and after which pauses, what may pass is tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    /// After the first try.
    pub(super) retries: u32,
    /// Before the first retry; each further one waits twice as long.
    pub(super) first_pause: Duration,
}

impl Retry {
    /// None used yet.
    pub(super) fn tries<'a>(&self, at: &'a Location) -> Tries<'a> {
        Tries { retry: *self, at, used: 0 }
    }

    /// Half of it is left to chance, so that those who failed together don't come back together.
    fn pause(&self, tries: u32) -> Duration {
        let longest = self.first_pause.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_PAUSE);
        let chance = RandomState::new().hash_one(tries) as f64 / u64::MAX as f64;
        longest.mul_f64(0.5 + 0.5 * chance)
    }
}

/// The tries of one request.
pub(super) struct Tries<'a> {
    retry: Retry,
    at: &'a Location,
    used: u32,
}

impl Tries<'_> {
    /// Waits before the next try, after this one failed.
    ///
    /// # Errors
    /// If the failure does not pass, or the tries are used up.
    pub(super) async fn failed(&mut self, cause: Cause) -> Result<(), RemoteError> {
        self.used += 1;
        if self.used > self.retry.retries || !cause.may_pass() {
            return Err(RemoteError { at: self.at.to_string(), cause, tries: self.used });
        }
        let pause = self.retry.pause(self.used);
        tracing::info!("{}: {cause}; trying again in {:.1} s", self.at, pause.as_secs_f64());
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let retry = Retry { retries: 9, first_pause: Duration::from_millis(100) };
        for (tries, most_ms) in [(1, 100), (2, 200), (5, 1_600), (40, 20_000)] {
            let most = Duration::from_millis(most_ms);
            for _ in 0..20 {
                let pause = retry.pause(tries);
                assert!(pause <= most && pause >= most / 2, "{tries}: {pause:?}");
            }
        }
    }
}
