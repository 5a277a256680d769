//! Several processes that were started together.

#[cfg(feature = "mpi")]
mod mpi;

use std::time::{Duration, Instant};

use crate::fixture::{Fixture, refused, simsiam, succeed};

#[test]
fn a_program_without_mpi_refuses_to_be_one_of_several() {
    if cfg!(feature = "mpi") {
        return;
    }
    let fixture = Fixture::new();
    let mut command = fixture.train("run", &[]);
    command.envs([("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0")]);
    let printed = refused(&mut command);
    assert!(
        printed.starts_with(
            "error: mpirun has started 2 processes, but this program was built for one: build it with "
        ),
        "{printed}"
    );
    assert!(printed.contains("--features mpi") && printed.lines().count() == 1, "{printed}");
    succeed(command.args(["--world", "alone", "--epochs", "1"]));
}

#[test]
fn what_several_cannot_do_is_refused() {
    let started =
        |variables: [(&str, &str); 3], arguments: &[&str]| refused(simsiam().args(arguments).envs(variables));
    let mpirun = [("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "0"), ("NONE", "")];
    let expected = "error: mpirun has started 2 processes, but only `train` is for several: ";
    assert!(started(mpirun, &["runs"]).starts_with(expected));
    let expected = "error: mpirun has started 2 processes, but --dry-run is for one: ";
    assert!(started(mpirun, &["train", "--dry-run"]).starts_with(expected));
    let torchrun = [("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "localhost")];
    let printed = started(torchrun, &["train"]);
    assert!(
        printed.starts_with("error: torchrun has started 2 processes, but it is for NCCL, which "),
        "{printed}"
    );
    // The first says it; another one waits to be ended with it, and says it where it is not.
    let second = [("OMPI_COMM_WORLD_SIZE", "2"), ("OMPI_COMM_WORLD_RANK", "1"), ("NONE", "")];
    let since = Instant::now();
    started(second, &["train", "--epochs", "x"]);
    assert!(since.elapsed() >= Duration::from_secs(3));
}
