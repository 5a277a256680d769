//! From Python's values to shards, a recipe and settings.
//!
//! - `sources`: shards and labels; `recipe`: the recipe; here: settings.

mod recipe;
mod sources;

pub(crate) use recipe::{mapping_as_dict, recipe};
pub(crate) use sources::{labels, patterns};

use std::ops::RangeInclusive;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use simsiam_pipeline::{Dtype, LastBatch, Layout, OnBadSample, Order};

/// A number that the loader can take; otherwise an error that names it, as in `batch_size -1: must be at least 1`.
pub(crate) fn whole<T: TryFrom<u64>>(name: &str, value: i128, allowed: RangeInclusive<u64>) -> PyResult<T> {
    let number = u64::try_from(value).ok().filter(|value| allowed.contains(value));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        let (least, most) = allowed.into_inner();
        let bound = if value < i128::from(least) { format!("least {least}") } else { format!("most {most}") };
        PyValueError::new_err(format!("{name} {value}: must be at {bound}"))
    })
}

/// `NCHW` or `NHWC`.
pub(crate) fn layout(name: &str) -> PyResult<Layout> {
    match name {
        "NCHW" => Ok(Layout::Nchw),
        "NHWC" => Ok(Layout::Nhwc),
        _ => Err(PyValueError::new_err(format!("layout {name:?}: expected \"NCHW\" or \"NHWC\""))),
    }
}

/// `uint8`, `float16` or `float32`.
pub(crate) fn dtype(name: &str) -> PyResult<Dtype> {
    match name {
        "uint8" => Ok(Dtype::U8),
        "float16" => Ok(Dtype::F16),
        "float32" => Ok(Dtype::F32),
        _ => Err(PyValueError::new_err(format!(
            "dtype {name:?}: expected \"uint8\", \"float16\" or \"float32\""
        ))),
    }
}

/// `skip`, with its budget, or `fail`.
pub(crate) fn on_bad_sample(name: &str, budget: f64) -> PyResult<OnBadSample> {
    match name {
        "skip" if (0.0..=1.0).contains(&budget) => Ok(OnBadSample::Skip { budget }),
        "skip" => Err(PyValueError::new_err(format!("bad_sample_budget {budget}: expected 0 to 1"))),
        "fail" => Ok(OnBadSample::Fail),
        _ => Err(PyValueError::new_err(format!("on_bad_sample {name:?}: expected \"skip\" or \"fail\""))),
    }
}

/// `True`, `False` or `window=N`.
pub(crate) fn order(shuffle: &Bound<'_, PyAny>) -> PyResult<Order> {
    if let Ok(shuffle) = shuffle.extract::<bool>() {
        return Ok(if shuffle { Order::Shuffled } else { Order::Sequential });
    }
    let expected = || {
        format!(
            "shuffle {shuffle:?}: expected True, False or \"window=N\" with a number of shards, at least 1"
        )
    };
    let text: String = shuffle.cast::<PyString>().map_err(|_| PyTypeError::new_err(expected()))?.extract()?;
    let shards =
        text.strip_prefix("window=").and_then(|shards| shards.parse().ok()).filter(|&shards| shards > 0);
    shards.map(|shards| Order::Windows { shards }).ok_or_else(|| PyValueError::new_err(expected()))
}

pub(crate) fn last_batch(drop_last: bool) -> LastBatch {
    if drop_last { LastBatch::Dropped } else { LastBatch::Kept }
}

/// A dict that JSON can hold, by Python's own `json`.
pub(crate) fn json<T: serde::de::DeserializeOwned>(dict: &Bound<'_, PyDict>) -> PyResult<T> {
    let text: String = dict.py().import("json")?.call_method1("dumps", (dict,))?.extract()?;
    serde_json::from_str(&text).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The other way.
pub(crate) fn python<'py>(py: Python<'py>, value: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| PyValueError::new_err(error.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}
