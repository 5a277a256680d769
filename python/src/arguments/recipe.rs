//! From a name, a file or a dict to a recipe.

use std::fs;
use std::io;
use std::path::PathBuf;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};
use serde_json::{Map, Value};
use simsiam_pipeline::Recipe;

use super::json;

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
            "recipe {:?}: expected \"imagenet\", \"cifar10\", \"swav\" or a .toml file",
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
        "swav" => Ok(Recipe::imagenet().swav(96)),
        _ => Err(format!("preset {name:?}: expected \"imagenet\", \"cifar10\" or \"swav\"")),
    }
}

/// Fields over those of `preset`, if one is named; a null leaves a step out, and `views` take the place of all its steps.
fn from_fields(mut fields: Map<String, Value>) -> Result<Recipe, String> {
    let mut recipe = match fields.remove("preset") {
        None => Map::new(),
        Some(Value::String(name)) => match serde_json::to_value(preset(&name)?) {
            Ok(Value::Object(recipe)) => recipe,
            _ => return Err(format!("preset {name:?} has no fields")),
        },
        Some(other) => return Err(format!("preset {other}: expected a name")),
    };
    if fields.contains_key("views") {
        Recipe::STEP_FIELDS.iter().for_each(|name| drop(recipe.remove(*name)));
    }
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
