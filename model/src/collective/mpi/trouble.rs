use std::fmt;

/// One of the processes that were started together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number, from 0.
    pub rank: usize,
    /// The host that it runs on.
    pub host: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} on {}", self.rank, self.host)
    }
}

/// Trouble among ranks that wait for each other. All kinds except [`Late`](Self::Late) end the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A rank is alive, but has not reached the operation that the others wait in.
    #[error("{waiting} has waited for {late} for {seconds} s; it is alive")]
    Late {
        /// The waiting rank.
        waiting: Member,
        /// The rank that it waits for.
        late: Member,
        /// The time in seconds.
        seconds: u64,
    },
    /// A rank sends no heartbeats: it was stopped, or its machine or the network failed.
    #[error("{silent} has not responded for {seconds} s; {ending} ends the run")]
    Silent {
        /// The silent rank.
        silent: Member,
        /// The rank that noticed.
        ending: Member,
        /// The time in seconds.
        seconds: u64,
    },
    /// An MPI operation failed.
    #[error("{member}: MPI failed: {text}")]
    Failed {
        /// The rank.
        member: Member,
        /// MPI's message.
        text: String,
    },
}

/// Why a process cannot be a rank.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It has already joined.
    #[error("MPI was started before in this process")]
    Again,
    /// MPI does not allow calls from more than one thread.
    #[error("this MPI lets only the main thread call it; MPI_THREAD_SERIALIZED is needed")]
    Threads,
    /// The heartbeat thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(String),
}
