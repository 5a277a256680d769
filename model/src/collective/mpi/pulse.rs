//! Heartbeats: every second, each rank tells rank 0 how many operations it has started, and rank 0 tells each rank. A
//! rank without a heartbeat for too long is lost; rank 0 watches all others, and the others watch rank 0.

use std::time::{Duration, Instant};

use mpi_sys as ffi;

/// How often the pulse looks.
pub(super) const TICK: Duration = Duration::from_millis(200);
/// How often it tells.
const BEAT: Duration = Duration::from_secs(1);
/// When a rank that others wait for is worth a word.
pub(super) const LATE: Duration = Duration::from_secs(60);
/// A rank that has not looked for so long was stopped itself, and gives the others their time anew.
const ABSENCE: Duration = Duration::from_secs(2);
/// In place of a number of operations: the rank has come to its end.
const FAREWELL: u64 = u64::MAX;
/// Tag of the messages.
const TAG: i32 = 1;

/// The lines between this rank and those that it tells.
pub(super) struct Pulse {
    rank: usize,
    lines: Vec<Line>,
    looked: Instant,
    told: Option<Instant>,
}

/// Between this rank and another.
struct Line {
    rank: usize,
    incoming: Message,
    outgoing: Message,
    heard: Instant,
    /// Operations that the other has begun.
    operations: u64,
    has_parted: bool,
}

/// A message on its way. MPI writes to, or reads from, the value until the request is done.
struct Message {
    request: ffi::MPI_Request,
    value: Box<u64>,
}

impl Pulse {
    /// Begins to listen.
    pub(super) fn start(rank: usize, size: usize) -> Self {
        let now = Instant::now();
        let others = if rank == 0 { 1..size } else { 0..1 };
        let lines = others.map(|rank| Line {
            rank,
            incoming: Message::none(),
            outgoing: Message::none(),
            heard: now,
            operations: 0,
            has_parted: false,
        });
        let mut lines: Vec<Line> = lines.collect();
        for line in &mut lines {
            line.incoming.receive(line.rank);
        }
        Self { rank, lines, looked: now, told: None }
    }

    /// Hears, and tells if it is time to.
    pub(super) fn tick(&mut self, operations: u64) {
        self.hear();
        if self.told.is_some_and(|told| told.elapsed() < BEAT) {
            return;
        }
        self.told = Some(Instant::now());
        for line in &mut self.lines {
            // Where the last message is still on its way, nobody takes it: there is no use in another.
            if line.outgoing.is_done() {
                line.outgoing.send(line.rank, operations);
            }
        }
    }

    /// Tells the others that this rank has come to its end. Whether all of them have.
    pub(super) fn part(&mut self) -> bool {
        self.hear();
        for line in &mut self.lines {
            if line.outgoing.is_done() && *line.outgoing.value != FAREWELL {
                line.outgoing.send(line.rank, FAREWELL);
            }
        }
        self.lines
            .iter_mut()
            .all(|line| line.has_parted && *line.outgoing.value == FAREWELL && line.outgoing.is_done())
    }

    /// A rank that has not responded for so long, and since when.
    pub(super) fn silent(&self, silence: Duration) -> Option<(usize, Duration)> {
        // That rank 0 is gone is seen by all others: one a second, so that one speaks.
        let silence = silence + Duration::from_secs(self.rank.saturating_sub(1).min(4) as u64);
        let heard = |line: &Line| (line.rank, line.heard.elapsed());
        let with_us = self.lines.iter().filter(|line| !line.has_parted);
        with_us.map(heard).find(|(_, elapsed)| *elapsed > silence)
    }

    /// A rank that has not begun so many operations: rank 0 speaks of all others, and rank 1 of rank 0.
    pub(super) fn behind(&self, operations: u64) -> Option<usize> {
        self.lines
            .iter()
            .filter(|_| self.rank <= 1)
            .find(|line| line.operations < operations)
            .map(|line| line.rank)
    }

    fn hear(&mut self) {
        let now = Instant::now();
        let was_absent = now - self.looked > ABSENCE;
        self.looked = now;
        for line in &mut self.lines {
            if was_absent {
                line.heard = now;
            }
            while !line.has_parted && line.incoming.is_done() {
                line.heard = now;
                match *line.incoming.value {
                    FAREWELL => line.has_parted = true,
                    operations => {
                        line.operations = operations;
                        line.incoming.receive(line.rank);
                    }
                }
            }
        }
    }
}

impl Message {
    fn none() -> Self {
        // SAFETY: a constant of the library.
        Self { request: unsafe { ffi::RSMPI_REQUEST_NULL }, value: Box::new(0) }
    }

    fn send(&mut self, rank: usize, value: u64) {
        *self.value = value;
        let value: *const u64 = &raw const *self.value;
        // SAFETY: the value stays where it is until the request is done, for it is in a box that is not replaced.
        unsafe {
            let (number, world) = (ffi::RSMPI_UINT64_T, ffi::RSMPI_COMM_WORLD);
            ffi::MPI_Isend(value.cast(), 1, number, rank as i32, TAG, world, &raw mut self.request);
        }
    }

    fn receive(&mut self, rank: usize) {
        let value: *mut u64 = &raw mut *self.value;
        // SAFETY: as in `send`; the value is read only once the request is done.
        unsafe {
            let (number, world) = (ffi::RSMPI_UINT64_T, ffi::RSMPI_COMM_WORLD);
            ffi::MPI_Irecv(value.cast(), 1, number, rank as i32, TAG, world, &raw mut self.request);
        }
    }

    /// Whether it has arrived, or there was none.
    fn is_done(&mut self) -> bool {
        let mut is_done = 0;
        // SAFETY: the request is null, or was begun and not freed. One that failed stays undone: its rank is silent then.
        let code =
            unsafe { ffi::MPI_Test(&raw mut self.request, &raw mut is_done, ffi::RSMPI_STATUS_IGNORE) };
        code == ffi::MPI_SUCCESS as i32 && is_done != 0
    }
}
