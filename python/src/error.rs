//! The pipeline's errors as Python's own kinds.

use std::io;

use pyo3::PyErr;
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyRuntimeError, PyValueError};
use simsiam_pipeline::loader::LoaderError;
use simsiam_pipeline::shards::ShardError;
use simsiam_pipeline::{ConfigError, PipelineError};

/// A path that is not there is `FileNotFoundError`, settings that cannot work are `ValueError`, a file that cannot be read
/// or is no sound shard is `OSError` or the kind of it that fits.
pub(crate) fn loader(error: LoaderError) -> PyErr {
    match error {
        LoaderError::Shards(error) => shards(error),
        LoaderError::Config(error) => config(error),
        error => PyRuntimeError::new_err(error.to_string()),
    }
}

fn shards(error: ShardError) -> PyErr {
    let text = error.to_string();
    match error {
        ShardError::NotFound { .. } | ShardError::NoMatch { .. } | ShardError::NotPacked { .. } => {
            PyFileNotFoundError::new_err(text)
        }
        ShardError::NoPatterns | ShardError::BadPattern { .. } => PyValueError::new_err(text),
        ShardError::Io { source, .. } => io::Error::new(source.kind(), format!("{text}: {source}")).into(),
        _ => PyOSError::new_err(text),
    }
}

pub(crate) fn config(error: ConfigError) -> PyErr {
    match error {
        ConfigError::Thread(_) => PyRuntimeError::new_err(error.to_string()),
        error => PyValueError::new_err(error.to_string()),
    }
}

/// Samples that cannot be used are `OSError`, a bug is `RuntimeError`; both name shard and key.
pub(crate) fn pipeline(error: PipelineError) -> PyErr {
    match error {
        PipelineError::BadSample(_) | PipelineError::BudgetExceeded { .. } => {
            PyOSError::new_err(error.to_string())
        }
        error => PyRuntimeError::new_err(error.to_string()),
    }
}
