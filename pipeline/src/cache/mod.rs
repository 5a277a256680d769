//! A cache folder with a size limit, shared by processes.
//!
//! ```text
//! claim(key) -> Held                                    the file is there
//!            -> Reserved -> write_at ... -> commit -> Held   it is this caller's to write
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `key` | [`Key`]: an object and its version |
//! | `entry` | a complete file and its metadata; [`Held`] |
//! | `ledger` | the folder's lock, its contents and the order of eviction |
//! | `reservation` | [`Reservation`]: a file that is being written |
//!
//! An entry is a folder, named after its key's hash, with the file under its own name and a small record. While it is
//! written it is another folder, `HASH.partial`, with a file that has its full length from the start: so what is under way
//! counts like what is there, and the limit holds at any time and over all processes.
//!
//! Locks say who is alive, and the system drops them with their process: `.lock` is held for the moment in which
//! someone looks over the folder, an entry's file is locked shared by those who use it, a partial file exclusively by
//! its writer. A partial file that nobody has locked was left by a process that was killed, and is removed.
//!
//! Whatever else is in an entry's folder (an index beside a shard) counts and goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use self::entry::Held;
pub(crate) use self::error::CacheError;
pub(crate) use self::key::Key;
pub(crate) use self::ledger::OVERHEAD;
pub(crate) use self::reservation::Reservation;

use self::ledger::{Ledger, Obstacle};

mod entry;
mod error;
mod key;
mod ledger;
mod reservation;
#[cfg(test)]
mod tests;

/// How often a waiting claim looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The folder and its limit. Other processes may have the same folder with another limit: each keeps to its own.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    limit: u64,
    patience: Duration,
}

/// What came of asking for an entry.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It is there, and stays there while this is held.
    Held(Held),
    /// It is not, there is room for it, and no one else fetches it meanwhile.
    Reserved(Reservation),
}

impl Cache {
    /// A cache of at most `limit` bytes in `dir`, which is made if need be. Claims wait at most `patience` for room, or for
    /// a writer that makes no progress.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub(crate) fn open(dir: &Path, limit: u64, patience: Duration) -> Result<Cache, CacheError> {
        fs::create_dir_all(dir).map_err(CacheError::io("make", dir))?;
        Ok(Cache { dir: dir.to_owned(), limit, patience })
    }

    /// The entry of `key`, or else the right to write its `bytes` bytes. Entries that were used longest ago, and that nobody
    /// holds, make room. Waits while someone else writes the same entry, and while there is no room.
    ///
    /// # Errors
    /// If the entry is larger than the limit, the wait is over, or the folder cannot be read or written.
    pub(crate) async fn claim(&self, key: &Key, bytes: u64) -> Result<Claim, CacheError> {
        let mut waiting: Option<(Obstacle, Instant)> = None;
        loop {
            let obstacle = match Ledger::open(&self.dir)? {
                Some(ledger) => match ledger.claim(self.limit, key, bytes)? {
                    Ok(claim) => return Ok(claim),
                    Err(obstacle) => obstacle,
                },
                None => Obstacle::Ledger,
            };
            // Another obstacle, such as a file that was written to since, is progress: the wait begins anew.
            let since = match waiting {
                Some((before, since)) if obstacle.is_still(before) => since,
                _ => Instant::now(),
            };
            if since.elapsed() >= self.patience {
                return Err(self.tired(&obstacle, key, bytes));
            }
            waiting = Some((obstacle, since));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn tired(&self, obstacle: &Obstacle, key: &Key, bytes: u64) -> CacheError {
        let (dir, seconds) = (self.dir.clone(), self.patience.as_secs_f64());
        match *obstacle {
            Obstacle::Ledger => CacheError::Locked { dir, seconds },
            Obstacle::Writer { .. } => CacheError::Unfinished { dir, name: key.name().to_owned(), seconds },
            Obstacle::Room { in_use } => {
                CacheError::NoRoom { dir, limit: self.limit, in_use, bytes, seconds }
            }
        }
    }
}
