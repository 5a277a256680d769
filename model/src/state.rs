//! Exports and imports a network's named values, for checkpoints.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::backend::{Backend, computed};
use crate::module::NamedTensors;

/// A tensor's values on the host, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// The name, as in PyTorch's `state_dict`.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
    /// The values.
    pub data: Vec<f32>,
}

/// Why values do not fit a network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// A tensor of the network is missing.
    #[error("tensor \"{0}\" is missing")]
    Missing(String),
    /// A tensor has another shape.
    #[error("tensor \"{name}\" has shape {found:?}, the network's is {expected:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape in the network.
        expected: Vec<usize>,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// The number of values does not match the shape.
    #[error("tensor \"{name}\" has {found} values, its shape says {expected}")]
    Length {
        /// The tensor's name.
        name: String,
        /// The number of values that the shape implies.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// A name occurs twice.
    #[error("tensor \"{0}\" is given twice")]
    Duplicate(String),
    /// The values belong to another optimiser.
    #[error("the values are those of the optimizer {found}, not of {expected}")]
    OtherOptimizer {
        /// The importing optimiser.
        expected: &'static str,
        /// The exporting optimiser.
        found: &'static str,
    },
    /// A tensor is not part of the network.
    #[error("tensor \"{0}\" is not part of the network")]
    Unknown(String),
}

/// All tensors of a network, including running statistics, in the network's order.
pub fn export<D: Backend, M: NamedTensors<D> + ?Sized>(module: &M) -> Vec<NamedTensor> {
    let mut tensors = Vec::new();
    module.visit("", &mut |name, _, tensor| {
        tensors.push(NamedTensor { name: name.to_owned(), shape: tensor.sizes(), data: tensor.values() });
    });
    tensors
}

/// Replaces all tensors of a network.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over. Nothing changes then.
pub fn import<D: Backend, M: NamedTensors<D> + ?Sized>(
    module: &mut M,
    tensors: &[NamedTensor],
) -> Result<(), StateError> {
    let mut given = by_name(tensors)?;
    let mut values = Vec::new();
    let mut fitting = Ok(());
    module.visit("", &mut |name, _, tensor| match take(&mut given, name, &tensor.sizes()) {
        Ok(found) => values.push(&found.data),
        Err(error) if fitting.is_ok() => fitting = Err(error),
        Err(_) => {}
    });
    fitting?;
    none_left(&given)?;
    let mut values = values.into_iter();
    let replaced = module.visit_mut("", &mut |_, _, tensor| {
        tensor.replace(values.next().expect("there is one for each tensor"));
        Ok(())
    });
    computed(replaced);
    Ok(())
}

/// The tensors by their names.
pub(crate) fn by_name(tensors: &[NamedTensor]) -> Result<BTreeMap<&str, &NamedTensor>, StateError> {
    let mut named = BTreeMap::new();
    for tensor in tensors {
        if named.insert(tensor.name.as_str(), tensor).is_some() {
            return Err(StateError::Duplicate(tensor.name.clone()));
        }
    }
    Ok(named)
}

/// Takes the tensor `name`, which must have this shape, out of those given.
pub(crate) fn take<'a>(
    given: &mut BTreeMap<&str, &'a NamedTensor>,
    name: &str,
    shape: &[usize],
) -> Result<&'a NamedTensor, StateError> {
    let tensor = given.remove(name).ok_or_else(|| StateError::Missing(name.to_owned()))?;
    if tensor.shape != shape {
        let (expected, found) = (shape.to_vec(), tensor.shape.clone());
        return Err(StateError::Shape { name: name.to_owned(), expected, found });
    }
    let expected = shape.iter().product();
    if tensor.data.len() != expected {
        return Err(StateError::Length { name: name.to_owned(), expected, found: tensor.data.len() });
    }
    Ok(tensor)
}

/// An error if a tensor is left over.
pub(crate) fn none_left(given: &BTreeMap<&str, &NamedTensor>) -> Result<(), StateError> {
    match given.first_key_value() {
        Some((name, _)) => Err(StateError::Unknown((*name).to_owned())),
        None => Ok(()),
    }
}
