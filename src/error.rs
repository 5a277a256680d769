//! Errors that are the user's to mend, told apart from those that are not by the exit code.

use crate::demo::DemoError;
use crate::interrupt::Interrupted;

/// Input or configuration that cannot work: the program says why and exits with code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InputError(String);

impl InputError {
    /// An error with this text: lower case, what, where and what was found.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// An error that all processes of a run know of: each ends with its code, and the first says what it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Agreed {
    /// The exit code.
    pub code: u8,
    /// What it is; where it is not the first process's, whose.
    pub text: String,
}

/// Training cannot go on: its numbers are no longer finite.
#[derive(Debug, thiserror::Error)]
#[error("diverged: {0}")]
pub struct Diverged(pub String);

/// Exit code of what was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Exit code of what nobody reads any more, as a shell gives it to a program that SIGPIPE ended.
pub const CLOSED_PIPE: u8 = 141;

/// The exit code for an error: 2 for what the user can mend in the input, 130 for an interrupt, 141 for a closed pipe, 1 for
/// the rest.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    use simsiam_pipeline::pack::PackError;
    use simsiam_pipeline::unpack::UnpackError;
    use simsiam_pipeline::{ConfigError, PipelineError};
    if let Some(agreed) = error.downcast_ref::<Agreed>() {
        return agreed.code;
    }
    let stopped = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Interrupted>()
            || matches!(cause.downcast_ref(), Some(PackError::Stopped))
            || matches!(cause.downcast_ref(), Some(UnpackError::Stopped))
            || matches!(cause.downcast_ref(), Some(DemoError::Interrupted(_)))
    };
    if error.chain().any(stopped) {
        return INTERRUPTED;
    }
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.downcast_ref().is_some_and(closed)) {
        return CLOSED_PIPE;
    }
    let is_full = |error: &std::io::Error| {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    };
    if error.chain().any(|cause| cause.downcast_ref().is_some_and(is_full)) {
        return 1;
    }
    let input = error.chain().any(|cause| {
        cause.is::<InputError>()
            || cause.is::<simsiam_pipeline::shards::ShardError>()
            || cause.is::<PackError>()
            || cause.is::<UnpackError>()
            || matches!(cause.downcast_ref(), Some(DemoError::Occupied(_)))
            || cause
                .downcast_ref::<ConfigError>()
                .is_some_and(|error| !matches!(error, ConfigError::Thread(_)))
            || cause.downcast_ref::<PipelineError>().is_some_and(|error| {
                !matches!(
                    error,
                    PipelineError::WorkerPanicked { .. }
                        | PipelineError::StagePanicked { .. }
                        | PipelineError::Unreachable(_)
                )
            })
    });
    if input { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use simsiam_pipeline::pack::PackError;
    use simsiam_pipeline::unpack::UnpackError;

    use super::*;

    #[test]
    fn whatever_was_interrupted_has_the_same_code() {
        let errors: [anyhow::Error; 4] = [
            Interrupted.into(),
            DemoError::Interrupted(Interrupted).into(),
            PackError::Stopped.into(),
            UnpackError::Stopped.into(),
        ];
        for error in errors {
            assert_eq!((exit_code(&error), format!("{error:#}")), (INTERRUPTED, "interrupted".into()));
        }
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_input() {
        let full = |text: &'static str| {
            let error: anyhow::Error = std::io::Error::from(std::io::ErrorKind::StorageFull).into();
            error.context(InputError::new(text))
        };
        assert_eq!(exit_code(&full("cannot write a.tar")), 1);
        assert_eq!(exit_code(&InputError::new("--epochs 0").into()), 2);
    }
}
