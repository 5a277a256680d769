//! Named values out of and into a network, for checkpoints.

use std::collections::BTreeMap;

use dfdx::nn::{TensorOptions, TensorVisitor, ViewTensorMut, ViewTensorName, ViewTensorRef};
use dfdx::prelude::*;
use thiserror::Error;

use crate::backend::Backend;
use crate::module::{NamedTensors, Visited};

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

/// Why values don't fit a network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// A tensor of the network is not among the values.
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
    /// A tensor has more or fewer values than its shape says.
    #[error("tensor \"{name}\" has {found} values, its shape says {expected}")]
    Length {
        /// The tensor's name.
        name: String,
        /// The number of values that the shape says.
        expected: usize,
        /// The number of values.
        found: usize,
    },
    /// A name is given twice.
    #[error("tensor \"{0}\" is given twice")]
    Duplicate(String),
    /// A given tensor is not the network's.
    #[error("tensor \"{0}\" is not part of the network")]
    Unknown(String),
}

/// All tensors of a network, running statistics too, in the network's order.
pub fn export<D: Backend, M: NamedTensors<D>>(module: &M) -> Vec<NamedTensor> {
    let mut export = Export(Vec::new());
    match module.visit("", &mut export) {
        Ok(()) => {}
        Err(never) => match never {},
    }
    let tables = module.tables().into_iter();
    export.0.extend(tables.map(|(name, table)| NamedTensor {
        name: name.to_owned(),
        shape: table.sizes(),
        data: table.values(),
    }));
    export.0
}

/// Replaces all tensors of a network.
///
/// # Errors
/// If a tensor is missing, has another shape, or is left over. Nothing has changed then.
pub fn import<D: Backend, M: NamedTensors<D>>(
    module: &mut M,
    tensors: &[NamedTensor],
) -> Result<(), StateError> {
    let mut check = Check(by_name(tensors)?);
    module.visit("", &mut check)?;
    for (name, table) in module.tables() {
        take(&mut check.0, name, &table.sizes())?;
    }
    none_left(&check.0)?;
    let mut replace = Replace(by_name(tensors)?);
    module.visit_mut("", &mut replace)?;
    for (name, table) in module.tables_mut() {
        table.replace(&take(&mut replace.0, name, &table.sizes())?.data);
    }
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

struct Export(Vec<NamedTensor>);

impl<D: Backend> TensorVisitor<f32, D> for Export {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = std::convert::Infallible;
    type E2 = f32;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        _: TensorOptions<S, f32, D>,
        (tensor, name): (&Tensor<S, f32, D>, String),
    ) -> Visited<S, D, Self::Err> {
        self.0.push(NamedTensor { name, shape: tensor.shape().concrete().into(), data: tensor.as_vec() });
        Ok(None)
    }
}

struct Check<'a>(BTreeMap<&'a str, &'a NamedTensor>);

impl<D: Backend> TensorVisitor<f32, D> for Check<'_> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = StateError;
    type E2 = f32;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        _: TensorOptions<S, f32, D>,
        (tensor, name): (&Tensor<S, f32, D>, String),
    ) -> Visited<S, D, Self::Err> {
        take(&mut self.0, &name, tensor.shape().concrete().as_ref())?;
        Ok(None)
    }
}

struct Replace<'a>(BTreeMap<&'a str, &'a NamedTensor>);

impl<D: Backend> TensorVisitor<f32, D> for Replace<'_> {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = StateError;
    type E2 = f32;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        _: TensorOptions<S, f32, D>,
        (tensor, name): (&mut Tensor<S, f32, D>, String),
    ) -> Visited<S, D, Self::Err> {
        let given = take(&mut self.0, &name, tensor.shape().concrete().as_ref())?;
        tensor.copy_from(&given.data);
        Ok(None)
    }
}
