//! The processes of a run: this one alone, or several, the *ranks*, that a launcher started together.
//!
//! - `launch`: how this process was started, by its environment.
//! - `engine`: what the ranks exchange by, in a program that was built with it.
//! - `agree`: what all must have in common before training begins, and errors of one that are errors of all.
//! - `news`: what each tells the others every step.
//! - `cores`: a rank's share of its machine.
//! - `statistics`: batch norm's, where ranks have their own.
//!
//! Only the first rank prints and writes. An error that all ranks know of ends each of them as it would end one process; any
//! other error, or a panic, of one rank ends all of them at once.

mod agree;
mod cores;
mod engine;
mod launch;
mod news;
mod statistics;

pub use self::launch::{Launch, WorldChoice};
pub use self::news::News;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use simsiam_model::collective::{Collective, FIXED_PARTS, Ranks, SumOrder};

use self::engine::Engine;
use crate::config::{Device, TrainConfig};
use crate::console::Console;
use crate::error::{Agreed, InputError, exit_code};

/// Exit code of a panic, as of one in `main`.
const PANICKED: u8 = 101;

/// This process among those of its run. The default is a process alone.
#[derive(Clone, Default)]
pub struct World {
    engine: Option<Arc<Engine>>,
    ranks: Ranks,
}

impl World {
    /// Joins those that were started together, if any were. A rank that gives no sign of life for `silence` ends all.
    ///
    /// # Errors
    /// If this program cannot be one of several, or the launcher and the engine do not know of each other.
    pub fn join(launch: Option<&Launch>, silence: Duration, console: &Console) -> Result<Self> {
        let Some(launch) = launch else { return Ok(Self::default()) };
        let engine = Arc::new(engine::start(launch, silence, console)?);
        if engine.size() != launch.size {
            let size = engine.size();
            engine.finish();
            return Err(launch.is_not_known(size).into());
        }
        let ranks = Ranks::new(engine.clone(), SumOrder::Any);
        cores::share_out(&ranks, engine.hosts())?;
        Ok(Self { engine: Some(engine), ranks })
    }

    /// Does the work of this process, and ends together with all others: the exit code.
    pub fn to_the_end(&self, console: &Console, work: impl FnOnce() -> Result<ExitCode>) -> ExitCode {
        let Some(engine) = &self.engine else {
            return work().unwrap_or_else(|error| console.failed(&error));
        };
        let code = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) if error.is::<Agreed>() => {
                if self.is_first() {
                    console.failed(&error);
                }
                exit_code(&error).into()
            }
            Ok(Err(error)) => self.end_all(engine, exit_code(&error), &format!("{error:#}"), console),
            Err(_) => self.end_all(engine, PANICKED, "panicked", console),
        };
        engine.finish();
        code
    }

    fn end_all(&self, engine: &Engine, code: u8, why: &str, console: &Console) -> ! {
        // What is wrong with all is said by the first, which ends this process meanwhile.
        launch::let_first_speak(self.ranks.rank());
        console.error(&anyhow!("{}: {why}", self.member(self.ranks.rank())));
        engine.end_all(code)
    }

    /// Whether this process prints and writes.
    pub fn is_first(&self) -> bool {
        self.ranks.is_first()
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.ranks.size()
    }

    /// What the processes exchange by.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// This process's share of each batch.
    pub fn share(&self) -> simsiam_pipeline::World {
        simsiam_pipeline::World { size: self.size() as u64, rank: self.ranks.rank() as u64 }
    }

    /// What the network of a run is to know of the ranks.
    pub fn ranks_of(&self, config: &TrainConfig) -> Ranks {
        let ranks = match &self.engine {
            Some(engine) => Ranks::new(engine.clone(), config.sum_order()),
            None => Ranks::alone(config.sum_order()),
        };
        if config.sync_bn { ranks } else { ranks.without_batch_norm() }
    }

    /// Refuses a run that so many processes cannot share.
    ///
    /// # Errors
    /// If they do not divide its batch, or its device is not for several.
    pub fn check(&self, config: &TrainConfig) -> Result<(), InputError> {
        let (size, batch) = (self.size(), config.batch_size);
        if size == 1 {
            return Ok(());
        }
        let refuse = |text: String| Err(InputError::new(text));
        if config.device == Device::Cuda {
            return refuse(format!("--device cuda: {size} processes train together on CPUs only so far"));
        }
        if !batch.is_multiple_of(size) {
            return refuse(format!(
                "--batch-size {batch}: must be a multiple of {size}, the number of processes"
            ));
        }
        if config.deterministic && !FIXED_PARTS.is_multiple_of(size) {
            return refuse(format!("--deterministic: needs 1, 2, 4 or 8 processes, not {size}"));
        }
        if !config.sync_bn && batch < 2 * size {
            return refuse(format!(
                "--batch-size {batch}: must be at least {}, 2 images for each process, with --sync-bn false",
                2 * size
            ));
        }
        Ok(())
    }

    /// `rank 1 on node-b`.
    fn member(&self, rank: usize) -> String {
        let host = self.engine.as_ref().map_or("this host", |engine| &engine.hosts()[rank]);
        format!("rank {rank} on {host}")
    }
}

#[cfg(test)]
mod tests;
