//! From Python's values to shards, a recipe and settings.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};
use serde_json::{Map, Value};
use simsiam_pipeline::{Dtype, LastBatch, Layout, OnBadSample, Order, Recipe};

/// One pattern or path, or several.
pub(crate) fn patterns(shards: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(one) = path(shards) {
        return Ok(vec![one]);
    }
    shards.try_iter()?.map(|shard| path(&shard?)).collect()
}

fn path(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let path: PathBuf = value.extract()?;
    path.into_os_string()
        .into_string()
        .map_err(|path| PyValueError::new_err(format!("shards {}: not UTF-8", PathBuf::from(path).display())))
}

/// A dict of any mapping's items, which can be pickled and given to Python's `json`; other values as they are.
pub(crate) fn mapping_as_dict(value: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    match value.cast::<PyMapping>() {
        Ok(mapping) if !value.is_instance_of::<PyDict>() => {
            let dict = PyDict::new(value.py());
            dict.update(mapping)?;
            Ok(dict.into_any())
        }
        _ => Ok(value),
    }
}

/// A preset's name, a TOML file's path, or a dict of fields; the latter two may build on a preset.
pub(crate) fn recipe(recipe: &Bound<'_, PyAny>) -> PyResult<Recipe> {
    if recipe.is_instance_of::<PyString>()
        && let Ok(preset) = preset(&recipe.extract::<String>()?)
    {
        return Ok(preset);
    }
    if let Ok(fields) = recipe.cast::<PyDict>() {
        return from_fields(json(fields)?).map_err(|error| PyValueError::new_err(format!("recipe: {error}")));
    }
    let path: PathBuf = recipe.extract().map_err(|_| {
        PyTypeError::new_err("recipe: expected a preset's name, a path of a TOML file, or a dict")
    })?;
    if path.extension().is_none_or(|extension| extension != "toml") {
        let text = format!(
            "recipe {:?}: expected \"imagenet\", \"cifar10\" or a .toml file",
            path.display().to_string()
        );
        return Err(PyValueError::new_err(text));
    }
    let text = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("recipe {}: {error}", path.display())))?;
    let mut fields: Map<String, Value> = toml::from_str(&text)
        .map_err(|error| PyValueError::new_err(format!("recipe {}: {error}", path.display())))?;
    if let Some(Value::Object(recipe)) = fields.get_mut("recipe") {
        fields = std::mem::take(recipe); // a run's whole configuration
    }
    from_fields(fields).map_err(|error| PyValueError::new_err(format!("recipe {}: {error}", path.display())))
}

fn preset(name: &str) -> Result<Recipe, String> {
    match name {
        "imagenet" => Ok(Recipe::imagenet()),
        "cifar10" => Ok(Recipe::cifar10()),
        _ => Err(format!("preset {name:?}: expected \"imagenet\" or \"cifar10\"")),
    }
}

/// Fields over those of `preset`, if one is named; a null leaves a step out.
fn from_fields(mut fields: Map<String, Value>) -> Result<Recipe, String> {
    let mut recipe = match fields.remove("preset") {
        None => Map::new(),
        Some(Value::String(name)) => match serde_json::to_value(preset(&name)?) {
            Ok(Value::Object(recipe)) => recipe,
            _ => return Err(format!("preset {name:?} has no fields")),
        },
        Some(other) => return Err(format!("preset {other}: expected a name")),
    };
    for (name, value) in fields {
        if value.is_null() {
            check_name(&name)?;
            recipe.remove(&name);
        } else {
            recipe.insert(name, value);
        }
    }
    serde_json::from_value(Value::Object(recipe)).map_err(|error| error.to_string())
}

/// Whether a recipe has such a field: serde refuses a name before it looks at a value.
fn check_name(name: &str) -> Result<(), String> {
    let alone = Map::from_iter([(name.to_owned(), Value::Null)]);
    match serde_json::from_value::<Recipe>(Value::Object(alone)).map_err(|error| error.to_string()) {
        Err(error) if error.starts_with("unknown field") => Err(error),
        _ => Ok(()),
    }
}

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

pub(crate) fn order(shuffle: bool) -> Order {
    if shuffle { Order::Shuffled } else { Order::Sequential }
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
