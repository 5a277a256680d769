//! Sums of gradients over the ranks, which begin while the backward pass goes on.
//!
//! In its forward pass, a layer announces that it will add to the gradient of a parameter, and in its backward pass it
//! hands the gradient over. The operation that was announced first is differentiated last: with it, the gradient is
//! complete and goes into a bucket. A full bucket is sent, while earlier layers are still being differentiated (Li et al.
//! 2020, "PyTorch Distributed").

use std::collections::HashMap;
use std::ops::Range;

use dfdx::prelude::*;

use super::{Exchange, Group, Ranks, SumOrder, sum_parts};
use crate::backend::cpu::profile::observed;
use crate::backend::{Backend, GradientVec};
use crate::module::{AnyTensor, NamedTensors};
use crate::optim::is_trained;

/// Number of values with which a bucket is full.
const BUCKET: usize = 1 << 20;

/// The gradients of a step on their way.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Whether layers hand gradients over.
    are_open: bool,
    /// How many operations that were announced have still to add to each parameter's gradient. One whose result the loss
    /// does not depend on never does.
    announced: HashMap<Address, usize>,
    /// Complete gradients that are not sent yet.
    filling: Vec<f32>,
    sent: Vec<Box<dyn Exchange>>,
    /// The bucket of each complete gradient, and its place there.
    places: HashMap<Address, (usize, Range<usize>)>,
}

/// Tells parameters apart during a step: where their values are.
type Address = usize;

impl Buckets {
    /// Counts an operation that has added to a gradient; whether it was the last.
    fn is_complete(&mut self, parameter: Address) -> bool {
        self.announced.get_mut(&parameter).is_some_and(|left| {
            *left -= 1;
            *left == 0
        })
    }

    /// Takes a complete gradient, which consists of so many parts of the batch.
    fn put(&mut self, parameter: Address, mut gradient: Vec<f32>, parts: usize, group: &Group) {
        sum_parts(&mut gradient, parts);
        let place = self.filling.len()..self.filling.len() + gradient.len();
        self.filling.append(&mut gradient);
        let before = self.places.insert(parameter, (self.sent.len(), place));
        assert!(before.is_none(), "a gradient has grown after it was summed");
        if self.filling.len() >= BUCKET {
            self.send(group);
        }
    }

    fn send(&mut self, group: &Group) {
        if self.filling.is_empty() {
            return;
        }
        let values = std::mem::take(&mut self.filling);
        let begin = || match group.order {
            SumOrder::Any => group.collective.begin_all_reduce(values),
            SumOrder::Fixed => group.collective.begin_all_gather(values),
        };
        self.sent.push(observed("all-reduce", begin));
    }

    /// The sums of each bucket.
    fn received(&mut self, group: &Group) -> Vec<Vec<f32>> {
        let received = self.sent.drain(..).map(|sent| {
            let mut values = observed("all-reduce", || sent.finish());
            if group.order == SumOrder::Fixed {
                sum_parts(&mut values, group.collective.size());
            }
            values
        });
        received.collect()
    }
}

impl Ranks {
    /// From the next forward pass on, until [`sum_gradients`](Self::sum_gradients), gradients are summed as soon as the
    /// backward pass has completed them.
    ///
    /// # Panics
    /// The backward pass panics if another one was before it: what that adds would be lost.
    pub fn sum_in_backward(&self) {
        if let Some(group) = &self.0 {
            group.buckets().are_open = self.size() > 1;
        }
    }

    /// Announces an operation that will add to a parameter's gradient, which it passes to
    /// [`hand_over`](Self::hand_over) then.
    pub(crate) fn announce<S: Shape, D: Backend>(&self, parameter: &Tensor<S, f32, D>) {
        let Some(group) = &self.0 else { return };
        let mut buckets = group.buckets();
        if buckets.are_open {
            *buckets.announced.entry(parameter.device().address(parameter)).or_default() += 1;
        }
    }

    /// Puts a gradient, to which an operation has added, where the next one finds it, or begins to sum it over the ranks.
    pub(crate) fn hand_over<S: Shape, D: Backend>(
        &self,
        parameter: &Tensor<S, f32, D>,
        gradient: GradientVec<D>,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        if let Some(group) = &self.0 {
            let (mut buckets, dev) = (group.buckets(), parameter.device());
            if buckets.are_open && buckets.is_complete(dev.address(parameter)) {
                buckets.put(dev.address(parameter), dev.host(gradient)?, self.parts(), group);
                return Ok(());
            }
        }
        *grads.get_or_alloc_mut(parameter)? = gradient;
        Ok(())
    }

    /// Replaces the gradients of all trained parameters by their sums over the ranks and over the parts of a batch.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If something was added to a gradient that was taken for complete.
    pub fn sum_gradients<D: Backend, M: NamedTensors<D> + ?Sized>(
        &self,
        model: &M,
        grads: &mut Gradients<f32, D>,
    ) -> Result<(), D::Err> {
        let Some(group) = self.0.as_ref().filter(|_| !self.is_trivial()) else {
            return Ok(());
        };
        let mut buckets = std::mem::take(&mut *group.buckets());
        each_gradient(model, |tensor| {
            let mut gradient = tensor.take_gradient(grads)?;
            if buckets.places.contains_key(&tensor.address()) {
                assert!(gradient.is_empty(), "a gradient has grown after it was summed");
                return Ok(());
            }
            // One that nothing was added to is zeros of no part.
            gradient.resize(self.parts() * tensor.sizes().iter().product::<usize>(), 0.0);
            buckets.put(tensor.address(), gradient, self.parts(), group);
            Ok(())
        })?;
        buckets.send(group);
        let sums = buckets.received(group);
        each_gradient(model, |tensor| {
            let (bucket, place) = buckets.places[&tensor.address()].clone();
            tensor.put_gradient(grads, &sums[bucket][place])
        })
    }
}

/// What is done with each trained parameter.
fn each_gradient<D: Backend, M: NamedTensors<D> + ?Sized>(
    model: &M,
    mut each: impl FnMut(&dyn AnyTensor<D>) -> Result<(), D::Err>,
) -> Result<(), D::Err> {
    let mut result = Ok(());
    model.visit("", &mut |name, is_parameter, tensor| {
        if is_parameter && is_trained(name) && result.is_ok() {
            result = each(tensor);
        }
    });
    result
}
