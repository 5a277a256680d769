use std::fmt::Debug;

use super::Encoder;
use crate::backend::Backend;
use crate::init::InitRng;
use crate::module::{NamedTensors, Read, Write, parts};
use crate::tensors::{Features, Taped, View};

/// An encoder whose features have `FEATURES` channels; of which kind it is, and for images of which size, is no longer
/// part of its type. What follows it, heads and methods, is compiled for each width of features alone.
#[derive(Debug)]
pub struct Backbone<const FEATURES: usize, D: Backend>(Box<dyn Unsized<FEATURES, D>>);

impl<const FEATURES: usize, D: Backend> Backbone<FEATURES, D> {
    /// Builds `E` for images of `SIZE x SIZE`.
    pub fn new<E: Encoder<D, SIZE, FEATURES> + Debug + 'static, const SIZE: usize>(
        dev: &D,
        rng: &InitRng,
    ) -> Self {
        Self(Box::new(OfSize::<E, SIZE> { encoder: E::new(dev, rng) }))
    }

    /// Evaluation: normalises by running statistics and records nothing.
    ///
    /// # Panics
    /// If the images are not of the size that the encoder was compiled for.
    pub fn forward(&self, x: View<D>) -> Features<D, FEATURES> {
        self.0.forward(x)
    }

    /// Training: normalises by the batch's statistics and updates the running ones. The images get no gradient.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>> {
        self.0.forward_mut(x)
    }

    /// Height and width of the images.
    pub fn size(&self) -> usize {
        self.0.size()
    }
}

impl<const FEATURES: usize, D: Backend> Clone for Backbone<FEATURES, D> {
    fn clone(&self) -> Self {
        Self(self.0.boxed())
    }
}

impl<const FEATURES: usize, D: Backend> NamedTensors<D> for Backbone<FEATURES, D> {
    fn visit(&self, prefix: &str, each: &mut Read<'_, D>) {
        self.0.visit(prefix, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut Write<'_, D>) -> Result<(), D::Err> {
        self.0.visit_mut(prefix, each)
    }
}

/// What can be done with an encoder whose size is unknown.
trait Unsized<const FEATURES: usize, D: Backend>: NamedTensors<D> + Debug {
    fn size(&self) -> usize;
    fn forward(&self, x: View<D>) -> Features<D, FEATURES>;
    fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>>;
    fn boxed(&self) -> Box<dyn Unsized<FEATURES, D>>;
}

/// An encoder for images of `SIZE x SIZE`.
#[derive(Clone, Debug)]
struct OfSize<E, const SIZE: usize> {
    encoder: E,
}

impl<E, const SIZE: usize, const FEATURES: usize, D: Backend> Unsized<FEATURES, D> for OfSize<E, SIZE>
where
    E: Encoder<D, SIZE, FEATURES> + Debug + 'static,
{
    fn size(&self) -> usize {
        SIZE
    }

    fn forward(&self, x: View<D>) -> Features<D, FEATURES> {
        self.encoder.forward(x.sized())
    }

    fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>> {
        self.encoder.forward_mut(x.sized())
    }

    fn boxed(&self) -> Box<dyn Unsized<FEATURES, D>> {
        Box::new(self.clone())
    }
}

impl<E: NamedTensors<D>, const SIZE: usize, D: Backend> NamedTensors<D> for OfSize<E, SIZE> {
    parts! { "": encoder }
}
