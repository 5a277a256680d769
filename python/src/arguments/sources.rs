//! Where images are, in which proportion, and where their labels come from.

use std::io;
use std::path::PathBuf;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString};
use simsiam_pipeline::shards::Labels;

/// One pattern or path, or several, or weights by these; the pipeline has a weight behind its pattern (`photos/=0.7`).
pub(crate) fn patterns(shards: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(weights) = shards.cast::<PyMapping>() {
        return weights.items()?.iter().map(|set| weighted(set.extract()?)).collect();
    }
    if let Ok(one) = path(shards) {
        return Ok(vec![one]);
    }
    shards.try_iter()?.map(|shard| path(&shard?)).collect()
}

fn weighted((pattern, weight): (Bound<'_, PyAny>, Bound<'_, PyAny>)) -> PyResult<String> {
    let pattern = path(&pattern)?;
    let number: f64 = weight.extract().map_err(|_| {
        PyTypeError::new_err(format!("shards {pattern}: expected a number as its weight, not {weight}"))
    })?;
    Ok(format!("{pattern}={number}"))
}

fn path(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let path: PathBuf = value.extract()?;
    path.into_os_string()
        .into_string()
        .map_err(|path| PyValueError::new_err(format!("shards {}: not UTF-8", PathBuf::from(path).display())))
}

/// A word, or the path of a table; what is no `str` is a path, whatever its name.
pub(crate) fn labels(labels: &Bound<'_, PyAny>) -> PyResult<Labels> {
    let table = match labels.cast::<PyString>() {
        Ok(text) => match Labels::from(text.extract::<String>()?) {
            Labels::Table(path) => path,
            word => return Ok(word),
        },
        Err(_) => labels.extract()?,
    };
    if table.exists() {
        return Ok(Labels::Table(table));
    }
    let text = format!(
        "labels {}: no such file (there are also the words \"own\", \"folders\", \"parents\" and \"none\")",
        table.display()
    );
    Err(io::Error::new(io::ErrorKind::NotFound, text).into())
}
