//! How this process was started: by itself, or as one of several by a launcher, which says so in the environment.

use std::env;
use std::fmt;
use std::thread;
use std::time::Duration;

use crate::cli::Command;
use crate::error::InputError;
use crate::process::host;

/// What processes that were started together do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WorldChoice {
    /// They train one run together
    Auto,
    /// Each works independently, as if it had been started alone
    Alone,
}

/// This process is one of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Its number.
    pub rank: usize,
    /// How many there are: at least 2.
    pub size: usize,
    by: Launcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Launcher {
    Mpirun,
    Srun,
    Torchrun,
}

/// What each launcher calls the number of processes and the process's own, and what else must be set. A launcher that starts
/// its processes through another one comes first.
const VARIABLES: [(Launcher, &str, &str, &str); 5] = [
    (Launcher::Mpirun, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    (Launcher::Mpirun, "PMI_SIZE", "PMI_RANK", "PMI_SIZE"),
    (Launcher::Srun, "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_ID"),
    (Launcher::Srun, "SLURM_NTASKS", "SLURM_PROCID", "SLURM_STEP_ID"),
    (Launcher::Torchrun, "WORLD_SIZE", "RANK", "MASTER_ADDR"),
];

/// How long the other ranks leave it to the first to say what is wrong with all, and to end them.
const FIRST_SPEAKS: Duration = Duration::from_secs(3);

pub(super) fn let_first_speak(rank: usize) {
    if rank > 0 {
        thread::sleep(FIRST_SPEAKS);
    }
}

impl Launch {
    /// As the environment says; `None` for a process that was started by itself.
    pub fn detected() -> Option<Self> {
        Self::among(|name| env::var(name).ok())
    }

    fn among(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let mut launches = VARIABLES.iter().filter_map(|(by, size, rank, also)| {
            get(also)?;
            let number = |name| get(name)?.parse().ok();
            let (size, rank) = (number(size)?, number(rank)?);
            (rank < size).then_some(Self { rank, size, by: *by })
        });
        launches.next().filter(|launch| launch.size > 1)
    }

    /// Before an error that no exchange with the others has been made of: the others wait for the first.
    pub fn let_first_speak(&self) {
        let_first_speak(self.rank);
    }

    /// `rank 1 on node-b`.
    pub fn name(&self) -> String {
        format!("rank {} on {}", self.rank, host())
    }

    /// Refuses a command that is not for several processes, and launchers of what there is not yet.
    ///
    /// # Errors
    /// If it is such.
    pub fn check(&self, command: &Command) -> Result<(), InputError> {
        let refuse = |why: &str| Err(InputError::new(format!("{self}, {why}")));
        match command {
            Command::Train(args) if args.dry_run => refuse(
                "but --dry-run is for one: start it by itself, or let each process do all of it with `--world alone`",
            ),
            Command::Train(_) if self.by == Launcher::Torchrun => refuse(
                "but it is for NCCL, which is not supported yet: start them with mpirun or srun (docs/distributed.md), or let each train \
                 for itself with `--world alone`",
            ),
            Command::Train(_) => Ok(()),
            _ => refuse(
                "but only `train` is for several: start this by itself, or let each process do all of it with `--world alone`",
            ),
        }
    }

    /// For a program without the engine.
    #[cfg_attr(feature = "mpi", expect(dead_code, reason = "this program has it"))]
    pub(super) fn needs_feature(&self) -> InputError {
        InputError::new(format!(
            "{self}, but this program was built for one: build it with `cargo build --release --features mpi` \
             (docs/distributed.md), or let each train for itself with `--world alone`"
        ))
    }

    /// For an engine that was not told by this launcher who the others are.
    pub(super) fn is_not_known(&self, size: usize) -> InputError {
        InputError::new(format!(
            "{self}, but the MPI of this program knows of {size}: it must be started by the launcher of the same MPI \
             (docs/distributed.md)"
        ))
    }
}

/// `mpirun has started 2 processes`.
impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Launcher::Mpirun => "mpirun",
            Launcher::Srun => "srun",
            Launcher::Torchrun => "torchrun",
        };
        write!(f, "{by} has started {} processes", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(variables: &[(&str, &str)]) -> Option<(usize, usize, Launcher)> {
        let get =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Launch::among(get).map(|launch| (launch.rank, launch.size, launch.by))
    }

    #[test]
    fn each_launcher_is_known_by_its_variables() {
        use Launcher::{Mpirun, Srun, Torchrun};
        let slurm = [("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", "3")];
        for (variables, expected) in [
            (&[("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "2")][..], Some((2, 4, Mpirun))),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "0")], Some((0, 2, Mpirun))),
            (&slurm, Some((3, 4, Srun))),
            (&[("SLURM_STEP_ID", "1"), ("SLURM_NTASKS", "2"), ("SLURM_PROCID", "1")], Some((1, 2, Srun))),
            (&[("WORLD_SIZE", "2"), ("RANK", "1"), ("MASTER_ADDR", "x")], Some((1, 2, Torchrun))),
            (&[], None),
            // A batch script of Slurm, and one that mpirun started alone in a step of several.
            (&[("SLURM_NTASKS", "4"), ("SLURM_PROCID", "0")], None),
            (&[&slurm[..], &[("OMPI_COMM_WORLD_SIZE", "1"), ("OMPI_COMM_WORLD_RANK", "0")]].concat(), None),
            (&[("WORLD_SIZE", "2"), ("RANK", "1")], None),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "2")], None),
            (&[("PMI_SIZE", "two"), ("PMI_RANK", "0")], None),
        ] {
            assert_eq!(launch(variables), expected, "{variables:?}");
        }
    }
}
