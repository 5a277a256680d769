//! The pipeline's errors as Python's own kinds.

use std::io;

use pyo3::exceptions::{PyConnectionError, PyFileNotFoundError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::{PyErr, Python};
use simsiam_pipeline::choose::ChoiceError;
use simsiam_pipeline::loader::LoaderError;
use simsiam_pipeline::shards::ShardError;
use simsiam_pipeline::{ConfigError, PipelineError};

/// What the pipeline calls by the program's flags, and what Python calls it.
const FLAGS: [(&str, &str); 3] = [
    ("--cache-dir", "cache_dir"),
    ("--cache-size", "cache_size"),
    ("--shuffle window=N", "shuffle=\"window=N\""),
];

fn in_python(text: impl ToString) -> String {
    FLAGS.iter().fold(text.to_string(), |text, (flag, argument)| text.replace(flag, argument))
}

/// A path that is not there is `FileNotFoundError`, settings that cannot work are `ValueError`, a file that cannot be read or fetched,
/// or is no sound shard, is `OSError` or the kind of it that fits.
pub(crate) fn loader(error: LoaderError) -> PyErr {
    match error {
        LoaderError::Shards(error) => shards(error),
        LoaderError::Config(error) => config(error),
        LoaderError::Choice(error) => choice(error),
        error => PyRuntimeError::new_err(error.to_string()),
    }
}

fn shards(error: ShardError) -> PyErr {
    let text = in_python(&error);
    match error {
        ShardError::NotFound { .. } | ShardError::NoMatch { .. } | ShardError::Dangling { .. } => {
            PyFileNotFoundError::new_err(text)
        }
        ShardError::NoPatterns
        | ShardError::BadPattern { .. }
        | ShardError::Mixture(_)
        | ShardError::BadTable { .. } => PyValueError::new_err(text),
        ShardError::Io { source, .. } => io::Error::new(source.kind(), format!("{text}: {source}")).into(),
        _ => PyOSError::new_err(text),
    }
}

pub(crate) fn config(error: ConfigError) -> PyErr {
    match error {
        ConfigError::Thread(_) => PyRuntimeError::new_err(error.to_string()),
        error => PyValueError::new_err(in_python(error)),
    }
}

fn choice(error: ChoiceError) -> PyErr {
    let text = error.to_string();
    match error {
        ChoiceError::List { source, .. } => io::Error::new(source.kind(), text).into(),
        _ => PyValueError::new_err(text),
    }
}

/// A step of your own that failed raises `RuntimeError`, from what it raised. Samples that cannot be used raise `OSError`, a remote
/// shard that can no longer be fetched its subclass `ConnectionError`, and a bug `RuntimeError`; all name the shard.
pub(crate) fn pipeline(error: PipelineError) -> PyErr {
    let text = error.to_string();
    match error {
        PipelineError::Step { error, .. } => {
            let raised = PyRuntimeError::new_err(text);
            if let Ok(cause) = error.source.downcast::<PyErr>() {
                Python::attach(|py| raised.set_cause(py, Some(*cause)));
            }
            raised
        }
        PipelineError::BadSample(_) | PipelineError::BudgetExceeded { .. } => PyOSError::new_err(text),
        PipelineError::Unreachable(_) => PyConnectionError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}
