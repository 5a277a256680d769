//! Each test starts itself again under `mpirun`, where there is one, and looks at the ranks' end.

use std::env;
use std::process::{Command, Output};

use super::*;
use crate::collective::{Ranks, SumOrder};

const SILENCE: Duration = Duration::from_secs(2);

/// What becomes of `size` ranks that run the test `name` of this module; `None` where nothing can start them.
fn mpirun(size: usize, name: &str, stopped: usize) -> Option<Output> {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &size.to_string()]);
    command.arg(env::current_exe().unwrap());
    command.args(["--exact", &format!("collective::mpi::tests::{name}"), "--nocapture"]);
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    let output = command.env(STOPPED, stopped.to_string()).output();
    if output.is_err() {
        println!("skipped: there is no mpirun");
    }
    output.ok()
}

/// Set in the ranks that a test has started: which of them stops, where one does.
const STOPPED: &str = "SIMSIAM_TEST_STOPPED_RANK";

/// The rank that stops, in one that a test has started.
fn stopped() -> Option<usize> {
    env::var(STOPPED).ok()?.parse().ok()
}

fn start() -> Mpi {
    Mpi::start(SILENCE, |trouble| eprintln!("trouble: {trouble}")).unwrap()
}

#[test]
fn ranks_exchange_bytes_and_sums() {
    if stopped().is_some() {
        return exchange();
    }
    let Some(output) = mpirun(3, "ranks_exchange_bytes_and_sums", 0) else { return };
    assert!(output.status.success(), "{output:?}");
}

fn exchange() {
    let mpi = start();
    let (rank, size) = (mpi.rank() as u8, 3);
    assert_eq!((mpi.size(), mpi.hosts().len()), (size, size));
    let own: Vec<u8> = (0..20).map(|at| 20 * rank + at).collect();
    for largest in [1, 7, 20, LARGEST] {
        let mut all = vec![0; size * own.len()];
        mpi.shared.all_gather(&own, &mut all, largest);
        assert_eq!(all, (0..60).collect::<Vec<u8>>(), "by {largest}");
    }
    // Several at once, one of many pieces and one of nothing, while others come and go.
    let own = |len: usize| (0..len).map(|at| f32::from(rank) + (at % 1000) as f32).collect::<Vec<f32>>();
    let lengths = [10, 3 * SUMMED + 1, 0];
    let sums = lengths.map(|len| mpi.begin_all_reduce(own(len)));
    let gathered = lengths.map(|len| mpi.begin_all_gather(own(len)));
    let mut all = vec![0; size];
    mpi.all_gather(&[rank], &mut all);
    assert_eq!(all, [0, 1, 2]);
    for (len, sums) in lengths.into_iter().zip(sums).rev() {
        assert!(
            sums.finish().into_iter().eq((0..len).map(|at| 3.0 + 3.0 * (at % 1000) as f32)),
            "{len} sums"
        );
    }
    for (len, gathered) in lengths.into_iter().zip(gathered) {
        let each = (0..3).flat_map(|rank| (0..len).map(move |at| (rank + at % 1000) as f32));
        assert!(gathered.finish().into_iter().eq(each), "{len} of each rank");
    }
    let mpi = Arc::new(mpi);
    let ranks = Ranks::new(mpi.clone(), SumOrder::Any);
    assert_eq!(ranks.all_gather_text(["a", "", "bcd"][usize::from(rank)]), ["a", "", "bcd"]);
    assert!(ranks.all_gather::<u8>(&[]).is_empty());
    // One rank is late, but longer alive than silence is allowed.
    if rank == 2 {
        thread::sleep(3 * SILENCE / 2);
    }
    ranks.all_gather(&[0u8]);
    mpi.finish();
}

#[test]
fn a_rank_that_stops_ends_all() {
    if let Some(rank) = stopped() {
        return stop(rank);
    }
    for stopped in [0, 2] {
        let Some(output) = mpirun(3, "a_rank_that_stops_ends_all", stopped) else { return };
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("trouble: ")).collect();
        let [told] = told[..] else { panic!("{text}") };
        assert!(told.starts_with(&format!("rank {stopped} on ")), "{told}");
        assert!(told.contains(" has not responded for ") && told.ends_with(" ends the run"), "{told}");
    }
}

fn stop(rank: usize) {
    let mpi = start();
    if mpi.rank() == rank {
        let own = std::process::id().to_string();
        Command::new("kill").args(["-STOP", &own]).status().unwrap();
    }
    // Until all are ended, for which the launcher wakes the one that was stopped.
    loop {
        mpi.begin_all_reduce(vec![1.0]).finish();
    }
}

#[test]
fn one_rank_can_end_all() {
    if stopped().is_some() {
        return end();
    }
    let Some(output) = mpirun(2, "one_rank_can_end_all", 0) else { return };
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}

fn end() {
    let mpi = start();
    if mpi.rank() == 1 {
        mpi.end_all(7);
    }
    mpi.begin_all_reduce(vec![1.0]).finish();
}
