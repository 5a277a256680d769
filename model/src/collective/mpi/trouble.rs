use std::fmt;

/// A process of those that were started together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number, from 0.
    pub rank: usize,
    /// The machine that it runs on.
    pub host: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} on {}", self.rank, self.host)
    }
}

/// What is told of ranks that wait for each other. All but [`Late`](Self::Late) end the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A rank is alive, but does not come to what the others wait in.
    #[error("{waiting} has waited for {late} for {seconds} s; it is alive")]
    Late {
        /// Who waits.
        waiting: Member,
        /// For whom.
        late: Member,
        /// For how long.
        seconds: u64,
    },
    /// A rank no longer tells that it is alive: it was stopped, its machine is gone, or the network between.
    #[error("{silent} has given no sign of life for {seconds} s; {ending} ends the run")]
    Silent {
        /// Who is gone.
        silent: Member,
        /// Who noticed.
        ending: Member,
        /// For how long.
        seconds: u64,
    },
    /// MPI refuses an operation.
    #[error("{member}: MPI failed: {text}")]
    Failed {
        /// Where.
        member: Member,
        /// What MPI says.
        text: String,
    },
}

/// Why a process cannot be a rank.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It was one already.
    #[error("MPI was started before in this process")]
    Again,
    /// MPI must be usable from any one thread at a time.
    #[error("this MPI lets only the main thread call it; MPI_THREAD_SERIALIZED is needed")]
    Threads,
    /// The thread that tells the others.
    #[error("cannot start a thread: {0}")]
    Thread(String),
}
