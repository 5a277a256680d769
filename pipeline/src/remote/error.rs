//! Errors of access to objects.

use crate::cache::CacheError;

/// Why an object could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {cause}{}", times(*.tries))]
pub(crate) struct RemoteError {
    /// The URL, without secrets.
    pub(crate) at: String,
    /// What happened, the last time.
    pub(crate) cause: Cause,
    /// How often it was tried.
    pub(crate) tries: u32,
}

fn times(tries: u32) -> String {
    if tries > 1 { format!(", {tries} times") } else { String::new() }
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    /// The URL itself, or the settings that go with it.
    #[error("{0}")]
    BadUrl(String),
    /// A wildcard before the last part.
    #[error("a wildcard can stand only in the last part")]
    Wildcard,
    /// A list was asked of a web server.
    #[error(
        "a web server does not list its files: name each of them; train-{{000..120}}.tar stands for many"
    )]
    NoListing,
    /// Nothing below the prefix is a shard.
    #[error("matches no .tar, .zip or .parquet object")]
    NoMatch,
    /// 404 of the object.
    #[error("no such object (404)")]
    NoObject,
    /// 404 of the bucket.
    #[error("no such bucket (404): is its name right, and is it at this endpoint?")]
    NoBucket,
    /// 401 or 403.
    #[error("access denied ({status}{}): {advice}", named(.code))]
    Denied { status: u16, code: Option<String>, advice: &'static str },
    /// Credentials that were right once.
    #[error("the credentials have expired ({status}): get new ones, and start again")]
    Expired { status: u16 },
    /// The environment has no credentials, and the machine gives none.
    #[error("no credentials were found: {0}")]
    NoCredentials(&'static str),
    /// The bucket is elsewhere.
    #[error("the bucket is in another region ({status}): set AWS_REGION to {}", .region.as_deref().unwrap_or("its region"))]
    WrongRegion { status: u16, region: Option<String> },
    /// Any other answer that says no.
    #[error("the server answered {status}{}", named(.code))]
    Refused { status: u16, code: Option<String> },
    /// An answer that cannot be what was asked for.
    #[error("the server's response is invalid: {0}")]
    BadAnswer(String),
    /// The whole object came where a part of it was asked for. Whoever downloads knows another way.
    #[error("the server does not support range requests")]
    NoRanges,
    /// Another version of the object than was listed.
    #[error("the object has changed since it was listed: start again")]
    Changed,
    /// The connection was closed too early.
    #[error("the server sent {received} of {expected} bytes")]
    Truncated { received: u64, expected: u64 },
    /// The connection is open and nothing comes, or hardly anything.
    #[error("the server sent next to nothing for {seconds} s after {received} of {expected} bytes")]
    Stalled { seconds: f64, received: u64, expected: u64 },
    /// The server did not answer.
    #[error("no answer within {seconds} s")]
    Silent { seconds: f64 },
    /// There is no connection.
    #[error("cannot reach the server: {0}")]
    Unreachable(String),
    /// The file could not be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The system gave no threads.
    #[error("cannot start the threads that download: {0}")]
    NoThreads(String),
    /// Nobody is left to do it.
    #[error("the download was stopped")]
    Stopped,
}

fn named(code: &Option<String>) -> String {
    code.as_ref().map(|code| format!(" {code}")).unwrap_or_default()
}

impl Cause {
    /// Whether trying again can help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Cause::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Cause::Truncated { .. }
            | Cause::Stalled { .. }
            | Cause::Silent { .. }
            | Cause::Unreachable(_) => true,
            _ => false,
        }
    }

    /// Whether a server has answered, and said no for good.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Cause::Refused { .. } => !self.may_pass(),
            Cause::NoObject
            | Cause::NoBucket
            | Cause::Denied { .. }
            | Cause::Expired { .. }
            | Cause::WrongRegion { .. }
            | Cause::BadAnswer(_) => true,
            _ => false,
        }
    }

    /// What was tried once.
    pub(super) fn once(self, at: impl ToString) -> RemoteError {
        RemoteError { at: at.to_string(), cause: self, tries: 1 }
    }
}
