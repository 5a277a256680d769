//! What a network is: something built from a generator of initial values, whose tensors have names.

use dfdx::nn::{
    RecursiveWalker, TensorCollection, TensorVisitor, ViewTensorMut, ViewTensorName, ViewTensorRef,
};
use dfdx::prelude::*;

use crate::backend::Backend;
use crate::init::InitRng;

/// A piece of network: a dfdx [`TensorCollection`] that knows how its values begin.
///
/// Its `TensorCollection::To` is `()`: a network moves to another device through [`state`](crate::state), by name.
pub trait Module<D: Backend>: TensorCollection<f32, D> {
    /// Builds the piece on `dev` with the initial values that `rng`'s seed and path give.
    fn new(dev: &D, rng: &InitRng) -> Self;
}

/// Visits tensors that it may read, each with its name.
pub trait ReadVisitor<D: Backend>:
    TensorVisitor<f32, D, Viewer = (ViewTensorRef, ViewTensorName), E2 = f32, D2 = D>
{
}
impl<D: Backend, V> ReadVisitor<D> for V where
    V: TensorVisitor<f32, D, Viewer = (ViewTensorRef, ViewTensorName), E2 = f32, D2 = D>
{
}

/// Visits tensors that it may change, each with its name.
pub trait WriteVisitor<D: Backend>:
    TensorVisitor<f32, D, Viewer = (ViewTensorMut, ViewTensorName), E2 = f32, D2 = D>
{
}
impl<D: Backend, V> WriteVisitor<D> for V where
    V: TensorVisitor<f32, D, Viewer = (ViewTensorMut, ViewTensorName), E2 = f32, D2 = D>
{
}

/// Named tensors in a fixed order. A dfdx [`TensorCollection`] lists its fields without looking at a value, so a network
/// whose depth is known only at run time, as [`SimSiam`](crate::methods::SimSiam)'s, is one of these instead.
///
/// Names are those of PyTorch's `state_dict`, such as `encoder.layer1.0.conv1.weight`.
pub trait NamedTensors<D: Backend> {
    /// Visits every tensor; its name is `prefix.name`, or `name` when the prefix is empty.
    fn visit<V: ReadVisitor<D>>(&self, prefix: &str, visitor: &mut V) -> Result<(), V::Err>;

    /// Visits every tensor, to change it.
    fn visit_mut<V: WriteVisitor<D>>(&mut self, prefix: &str, visitor: &mut V) -> Result<(), V::Err>;

    /// What a whole network keeps beside its tensors, in a fixed order: values that are not trained and whose number is
    /// known only at run time, which dfdx's visitors cannot visit.
    fn tables(&self) -> Vec<(&'static str, &dyn Table)> {
        Vec::new()
    }

    /// The same, to change them.
    fn tables_mut(&mut self) -> Vec<(&'static str, &mut dyn Table)> {
        Vec::new()
    }
}

/// Values that are saved with a network.
pub trait Table {
    /// The sizes.
    fn sizes(&self) -> Vec<usize>;

    /// The values in row-major order.
    fn values(&self) -> Vec<f32>;

    /// Replaces all values.
    ///
    /// # Panics
    /// If there are more or fewer.
    fn replace(&mut self, values: &[f32]);
}

impl<S: Shape, D: Backend> Table for Tensor<S, f32, D> {
    fn sizes(&self) -> Vec<usize> {
        self.shape().concrete().into()
    }

    fn values(&self) -> Vec<f32> {
        self.as_vec()
    }

    fn replace(&mut self, values: &[f32]) {
        self.copy_from(values);
    }
}

/// The name of a part of `prefix`, which may be empty.
pub(crate) fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// [`NamedTensors::visit`] for a part that is a collection.
pub(crate) fn visit<D, M, V>(module: &M, prefix: &str, visitor: &mut V) -> Result<(), V::Err>
where
    D: Backend,
    M: TensorCollection<f32, D>,
    V: ReadVisitor<D>,
{
    M::iter_tensors(&mut RecursiveWalker { m: (module, prefix.to_owned()), f: visitor }).map(drop)
}

/// [`NamedTensors::visit_mut`] for a part that is a collection.
pub(crate) fn visit_mut<D, M, V>(module: &mut M, prefix: &str, visitor: &mut V) -> Result<(), V::Err>
where
    D: Backend,
    M: TensorCollection<f32, D>,
    V: WriteVisitor<D>,
{
    M::iter_tensors(&mut RecursiveWalker { m: (module, prefix.to_owned()), f: visitor }).map(drop)
}

/// What a [`TensorVisitor`] returns when it builds no new module.
pub(crate) type Visited<S, D, Err> = Result<Option<Tensor<S, f32, D>>, Err>;

/// What `TensorCollection::iter_tensors` returns in this crate.
pub(crate) type Walked<Err> = Result<Option<()>, Err>;
