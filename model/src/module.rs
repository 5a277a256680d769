//! What a network is: something built from a generator of initial values, whose tensors have names.

use std::convert::Infallible;

use dfdx::nn::{
    ModuleFields, ModuleVisitor, ScalarOptions, TensorCollection, TensorOptions, TensorViewer, ViewTensorMut,
    ViewTensorRef,
};
use dfdx::prelude::*;

use crate::backend::{AdamWStep, Backend, LarsStep, SgdStep};
use crate::init::InitRng;

/// A piece of network: a dfdx [`TensorCollection`] that knows how its values begin.
///
/// Its `TensorCollection::To` is `()`: a network moves to another device through [`state`](crate::state), by name.
pub trait Module<D: Backend>: TensorCollection<f32, D> {
    /// Builds the piece on `dev` with the initial values that `rng`'s seed and path give.
    fn new(dev: &D, rng: &InitRng) -> Self;
}

/// Named tensors in a fixed order. A dfdx [`TensorCollection`] lists its fields without looking at a value, so a network
/// whose depth is known only at run time, as [`SimSiam`](crate::methods::SimSiam)'s, is one of these instead.
///
/// Names are those of PyTorch's `state_dict`, such as `encoder.layer1.0.conv1.weight`.
pub trait NamedTensors<D: Backend> {
    /// Visits every tensor; its name is `prefix.name`, or `name` when the prefix is empty.
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>);

    /// Visits every tensor, to change it.
    ///
    /// # Errors
    /// The first that `each` gives.
    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err>;
}

/// What is done with each tensor: called with its name, whether it is a parameter (not a running statistic), and itself.
pub type Read<'a, D> = dyn FnMut(&str, bool, &dyn AnyTensor<D>) + 'a;

/// What is done to each tensor.
pub type Write<'a, D> = dyn FnMut(&str, bool, &mut dyn AnyTensor<D>) -> Result<(), <D as HasErr>::Err> + 'a;

/// A tensor of any shape.
pub trait AnyTensor<D: Backend> {
    /// Where it is.
    fn on_device(&self) -> &D;

    /// Its sizes.
    fn sizes(&self) -> Vec<usize>;

    /// The values in row-major order.
    fn values(&self) -> Vec<f32>;

    /// Its gradient's values in row-major order.
    ///
    /// # Panics
    /// If it has none.
    fn gradient(&self, grads: &Gradients<f32, D>) -> Vec<f32>;

    /// Replaces all values.
    ///
    /// # Panics
    /// If there are more or fewer.
    fn replace(&mut self, values: &[f32]);

    /// A step of SGD by its gradient.
    ///
    /// # Errors
    /// If the device fails.
    fn sgd_update(
        &mut self,
        step: &SgdStep,
        velocity: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err>;

    /// A step of LARS by its gradient.
    ///
    /// # Errors
    /// If the device fails.
    fn lars_update(
        &mut self,
        step: &LarsStep,
        velocity: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err>;

    /// A step of AdamW by its gradient.
    ///
    /// # Errors
    /// If the device fails.
    fn adamw_update(
        &mut self,
        step: &AdamWStep,
        first_moment: &mut Tensor<(usize,), f32, D>,
        second_moment: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err>;
}

impl<S: Shape, D: Backend> AnyTensor<D> for Tensor<S, f32, D> {
    fn on_device(&self) -> &D {
        self.device()
    }

    fn sizes(&self) -> Vec<usize> {
        self.shape().concrete().into()
    }

    fn values(&self) -> Vec<f32> {
        self.as_vec()
    }

    fn gradient(&self, grads: &Gradients<f32, D>) -> Vec<f32> {
        grads.get(self).as_vec()
    }

    fn replace(&mut self, values: &[f32]) {
        self.copy_from(values);
    }

    fn sgd_update(
        &mut self,
        step: &SgdStep,
        velocity: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        let dev = self.device().clone();
        dev.sgd_update(step, self, velocity, grads.get_or_alloc_mut(self)?)
    }

    fn lars_update(
        &mut self,
        step: &LarsStep,
        velocity: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        let dev = self.device().clone();
        dev.lars_update(step, self, velocity, grads.get_or_alloc_mut(self)?)
    }

    fn adamw_update(
        &mut self,
        step: &AdamWStep,
        first_moment: &mut Tensor<(usize,), f32, D>,
        second_moment: &mut Tensor<(usize,), f32, D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        let dev = self.device().clone();
        dev.adamw_update(step, self, first_moment, second_moment, grads.get_or_alloc_mut(self)?)
    }
}

/// The name of a part of `prefix`, which may be empty.
pub(crate) fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// [`NamedTensors::visit`] for a part that is a collection.
pub(crate) fn visit<D: Backend, M: TensorCollection<f32, D>>(
    module: &M,
    prefix: &str,
    each: &mut Read<'_, D>,
) {
    match M::iter_tensors(&mut Walker { module, prefix, visit: &mut Reading(each) }) {
        Ok(_) => {}
        Err(never) => match never {},
    }
}

/// [`NamedTensors::visit_mut`] for a part that is a collection.
pub(crate) fn visit_mut<D: Backend, M: TensorCollection<f32, D>>(
    module: &mut M,
    prefix: &str,
    each: &mut Write<'_, D>,
) -> Result<(), D::Err> {
    M::iter_tensors(&mut Walker { module, prefix, visit: &mut Writing(each) }).map(drop)
}

/// What is done with the tensors of a collection.
trait Visit<D: Backend> {
    /// How modules and tensors are held: by reference, or to be changed.
    type Viewer: TensorViewer;
    type Err;

    fn tensor<S: Shape>(
        &mut self,
        name: &str,
        is_parameter: bool,
        tensor: <Self::Viewer as TensorViewer>::View<'_, Tensor<S, f32, D>>,
    ) -> Result<(), Self::Err>;
}

struct Reading<'a, 'b, D: Backend>(&'a mut Read<'b, D>);
struct Writing<'a, 'b, D: Backend>(&'a mut Write<'b, D>);

impl<D: Backend> Visit<D> for Reading<'_, '_, D> {
    type Viewer = ViewTensorRef;
    type Err = Infallible;

    fn tensor<S: Shape>(
        &mut self,
        name: &str,
        is_parameter: bool,
        tensor: &Tensor<S, f32, D>,
    ) -> Result<(), Infallible> {
        (self.0)(name, is_parameter, tensor);
        Ok(())
    }
}

impl<D: Backend> Visit<D> for Writing<'_, '_, D> {
    type Viewer = ViewTensorMut;
    type Err = D::Err;

    fn tensor<S: Shape>(
        &mut self,
        name: &str,
        is_parameter: bool,
        tensor: &mut Tensor<S, f32, D>,
    ) -> Result<(), D::Err> {
        (self.0)(name, is_parameter, tensor)
    }
}

/// Walks over a collection. It is compiled for every module and shape, and does less than dfdx's `RecursiveWalker`: nothing
/// is built from what it visits.
struct Walker<'a, M, V> {
    module: M,
    prefix: &'a str,
    visit: &'a mut V,
}

impl<'a, M: TensorCollection<f32, D>, D: Backend, V: Visit<D>> ModuleVisitor<M, f32, D>
    for Walker<'_, <V::Viewer as TensorViewer>::View<'a, M>, V>
{
    type Err = V::Err;
    type E2 = f32;
    type D2 = D;

    fn visit_module<Field, GetRef, GetMut>(
        &mut self,
        name: &str,
        mut get_ref: GetRef,
        mut get_mut: GetMut,
    ) -> Result<Option<Field::To<f32, D>>, V::Err>
    where
        GetRef: FnMut(&M) -> &Field,
        GetMut: FnMut(&mut M) -> &mut Field,
        Field: TensorCollection<f32, D>,
    {
        let module = V::Viewer::view_field(&mut self.module, name, &mut get_ref, &mut get_mut);
        let prefix = joined(self.prefix, name);
        Field::iter_tensors(&mut Walker { module, prefix: &prefix, visit: self.visit })
    }

    fn visit_tensor<S: Shape, GetRef, GetMut>(
        &mut self,
        name: &str,
        mut get_ref: GetRef,
        mut get_mut: GetMut,
        options: TensorOptions<S, f32, D>,
    ) -> Result<Option<Tensor<S, f32, D>>, V::Err>
    where
        GetRef: FnMut(&M) -> &Tensor<S, f32, D>,
        GetMut: FnMut(&mut M) -> &mut Tensor<S, f32, D>,
    {
        let tensor = V::Viewer::view_field(&mut self.module, name, &mut get_ref, &mut get_mut);
        self.visit.tensor(&joined(self.prefix, name), options.do_gradient_update, tensor)?;
        Ok(None)
    }

    fn visit_scalar<N: num_traits::NumCast, GetRef, GetMut>(
        &mut self,
        _: &str,
        _: GetRef,
        _: GetMut,
        _: ScalarOptions<N>,
    ) -> Result<Option<N>, V::Err> {
        Ok(None)
    }

    fn visit_fields<F: ModuleFields<M, f32, D>>(
        &mut self,
        fields: F,
        _: impl FnOnce(F::Output<f32, D>) -> M::To<f32, D>,
    ) -> Result<Option<M::To<f32, D>>, V::Err> {
        fields.visit_fields(self).map(|_| None)
    }
}

/// What `TensorCollection::iter_tensors` returns in this crate.
pub(crate) type Walked<Err> = Result<Option<()>, Err>;
