//! What a network keeps besides its parameters.

use std::ops::{Deref, DerefMut};

use dfdx::prelude::*;

use super::{AnyTensor, NamedTensors, Visitor, VisitorMut};
use crate::backend::Backend;
use crate::collective::Ranks;

/// A tensor of the network that is not a parameter, such as a running statistic.
#[derive(Clone, Debug)]
pub struct Buffer<S: Shape, D: Backend>(pub Tensor<S, f32, D>);

impl<S: Shape, D: Backend> Deref for Buffer<S, D> {
    type Target = Tensor<S, f32, D>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: Shape, D: Backend> DerefMut for Buffer<S, D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<S: Shape, D: Backend> NamedTensors<D> for Buffer<S, D> {
    fn visit(&self, name: &str, each: &mut Visitor<'_, D>) {
        each(name, false, self);
    }

    fn visit_mut(&mut self, name: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        each(name, false, self)
    }

    fn join(&mut self, _: &Ranks) {}
}

impl<S: Shape, D: Backend> AnyTensor<D> for Buffer<S, D> {
    fn on_device(&self) -> &D {
        self.0.device()
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.shape().concrete().into()
    }

    fn values(&self) -> Vec<f32> {
        self.0.as_vec()
    }

    fn replace(&mut self, values: &[f32]) {
        self.0.copy_from(values);
    }
}

/// A whole number that the host keeps, so that nobody waits for the device to read it. In a checkpoint, it is a tensor
/// of one value: exact up to 2^24.
#[derive(Clone, Debug)]
pub struct Counter<D> {
    /// The number.
    pub count: usize,
    dev: D,
}

impl<D: Backend> Counter<D> {
    /// Starts at 0.
    pub fn new(dev: &D) -> Self {
        Self { count: 0, dev: dev.clone() }
    }
}

impl<D: Backend> NamedTensors<D> for Counter<D> {
    fn visit(&self, name: &str, each: &mut Visitor<'_, D>) {
        each(name, false, self);
    }

    fn visit_mut(&mut self, name: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        each(name, false, self)
    }

    fn join(&mut self, _: &Ranks) {}
}

impl<D: Backend> AnyTensor<D> for Counter<D> {
    fn on_device(&self) -> &D {
        &self.dev
    }

    fn sizes(&self) -> Vec<usize> {
        vec![1]
    }

    fn values(&self) -> Vec<f32> {
        vec![self.count as f32]
    }

    fn replace(&mut self, values: &[f32]) {
        let [count] = values else { panic!("a counter is one value, not {}", values.len()) };
        self.count = *count as usize;
    }
}
