//! What a network is: something built from a generator of initial values, whose tensors have names.

use std::convert::Infallible;

use dfdx::nn::{ModuleFields, ModuleVisitor, ScalarOptions, TensorCollection, TensorOptions};
use dfdx::prelude::*;

use crate::backend::{Backend, SgdStep};
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
    match M::iter_tensors(&mut Reader { module, prefix, each }) {
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
    M::iter_tensors(&mut Writer { module, prefix, each }).map(drop)
}

// A visitor is compiled for every module and shape, so there are two for everything, and they do less than dfdx's
// `RecursiveWalker`: nothing is built from what they visit.

struct Reader<'a, 'e, M, D: Backend> {
    module: &'a M,
    prefix: &'a str,
    each: &'a mut Read<'e, D>,
}

struct Writer<'a, 'e, M, D: Backend> {
    module: &'a mut M,
    prefix: &'a str,
    each: &'a mut Write<'e, D>,
}

impl<M: TensorCollection<f32, D>, D: Backend> ModuleVisitor<M, f32, D> for Reader<'_, '_, M, D> {
    type Err = Infallible;
    type E2 = f32;
    type D2 = D;

    fn visit_module<Field, GetRef, GetMut>(
        &mut self,
        name: &str,
        mut field: GetRef,
        _: GetMut,
    ) -> Result<Option<Field::To<f32, D>>, Infallible>
    where
        GetRef: FnMut(&M) -> &Field,
        GetMut: FnMut(&mut M) -> &mut Field,
        Field: TensorCollection<f32, D>,
    {
        let prefix = joined(self.prefix, name);
        Field::iter_tensors(&mut Reader { module: field(self.module), prefix: &prefix, each: self.each })
    }

    fn visit_tensor<S: Shape, GetRef, GetMut>(
        &mut self,
        name: &str,
        mut tensor: GetRef,
        _: GetMut,
        options: TensorOptions<S, f32, D>,
    ) -> Result<Option<Tensor<S, f32, D>>, Infallible>
    where
        GetRef: FnMut(&M) -> &Tensor<S, f32, D>,
        GetMut: FnMut(&mut M) -> &mut Tensor<S, f32, D>,
    {
        (self.each)(&joined(self.prefix, name), options.do_gradient_update, tensor(self.module));
        Ok(None)
    }

    fn visit_scalar<N: num_traits::NumCast, GetRef, GetMut>(
        &mut self,
        _: &str,
        _: GetRef,
        _: GetMut,
        _: ScalarOptions<N>,
    ) -> Result<Option<N>, Infallible> {
        Ok(None)
    }

    fn visit_fields<F: ModuleFields<M, f32, D>>(
        &mut self,
        fields: F,
        _: impl FnOnce(F::Output<f32, D>) -> M::To<f32, D>,
    ) -> Result<Option<M::To<f32, D>>, Infallible> {
        fields.visit_fields(self).map(|_| None)
    }
}

impl<M: TensorCollection<f32, D>, D: Backend> ModuleVisitor<M, f32, D> for Writer<'_, '_, M, D> {
    type Err = D::Err;
    type E2 = f32;
    type D2 = D;

    fn visit_module<Field, GetRef, GetMut>(
        &mut self,
        name: &str,
        _: GetRef,
        mut field: GetMut,
    ) -> Result<Option<Field::To<f32, D>>, D::Err>
    where
        GetRef: FnMut(&M) -> &Field,
        GetMut: FnMut(&mut M) -> &mut Field,
        Field: TensorCollection<f32, D>,
    {
        let prefix = joined(self.prefix, name);
        Field::iter_tensors(&mut Writer { module: field(self.module), prefix: &prefix, each: self.each })
    }

    fn visit_tensor<S: Shape, GetRef, GetMut>(
        &mut self,
        name: &str,
        _: GetRef,
        mut tensor: GetMut,
        options: TensorOptions<S, f32, D>,
    ) -> Result<Option<Tensor<S, f32, D>>, D::Err>
    where
        GetRef: FnMut(&M) -> &Tensor<S, f32, D>,
        GetMut: FnMut(&mut M) -> &mut Tensor<S, f32, D>,
    {
        (self.each)(&joined(self.prefix, name), options.do_gradient_update, tensor(self.module))?;
        Ok(None)
    }

    fn visit_scalar<N: num_traits::NumCast, GetRef, GetMut>(
        &mut self,
        _: &str,
        _: GetRef,
        _: GetMut,
        _: ScalarOptions<N>,
    ) -> Result<Option<N>, D::Err> {
        Ok(None)
    }

    fn visit_fields<F: ModuleFields<M, f32, D>>(
        &mut self,
        fields: F,
        _: impl FnOnce(F::Output<f32, D>) -> M::To<f32, D>,
    ) -> Result<Option<M::To<f32, D>>, D::Err> {
        fields.visit_fields(self).map(|_| None)
    }
}

/// What `TensorCollection::iter_tensors` returns in this crate.
pub(crate) type Walked<Err> = Result<Option<()>, Err>;
