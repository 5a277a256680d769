use std::fmt::Debug;

use super::AnySize;
use crate::backend::Backend;
use crate::collective::Ranks;
use crate::init::InitRng;
use crate::module::{NamedTensors, Visitor, VisitorMut};
use crate::tensors::{Features, Taped, View};

/// An encoder whose features have `FEATURES` channels. Its architecture and image sizes are not part of the type, so
/// heads and methods are compiled only once per feature width.
#[derive(Debug)]
pub struct Backbone<const FEATURES: usize, D: Backend> {
    network: Box<dyn AnyEncoder<FEATURES, D>>,
    size: usize,
}

impl<const FEATURES: usize, D: Backend> Backbone<FEATURES, D> {
    /// Builds `E` for full-size images of `size x size`; smaller views may have any other of its sizes.
    ///
    /// # Panics
    /// If `E` is not compiled for that size.
    pub fn new<E: AnySize<D, FEATURES> + Debug + 'static>(size: usize, dev: &D, rng: &InitRng) -> Self {
        assert!(E::SIZES.contains(&size), "{size} is none of the encoder's sizes, {:?}", E::SIZES);
        Self { network: Box::new(E::new(dev, rng)), size }
    }

    /// Evaluation: normalises by the running statistics and records nothing on a tape.
    ///
    /// # Panics
    /// If the encoder is not compiled for the images' size.
    pub fn forward(&self, x: View<D>) -> Features<D, FEATURES> {
        self.network.forward(x)
    }

    /// Training: normalises by the batch's statistics and updates the running ones. The images get no gradient.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>> {
        self.network.forward_mut(x)
    }

    /// Height and width of the full-size images.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl<const FEATURES: usize, D: Backend> Clone for Backbone<FEATURES, D> {
    fn clone(&self) -> Self {
        Self { network: self.network.boxed(), size: self.size }
    }
}

impl<const FEATURES: usize, D: Backend> NamedTensors<D> for Backbone<FEATURES, D> {
    fn visit(&self, prefix: &str, each: &mut Visitor<'_, D>) {
        self.network.visit(prefix, each);
    }

    fn visit_mut(&mut self, prefix: &str, each: &mut VisitorMut<'_, D>) -> Result<(), D::Err> {
        self.network.visit_mut(prefix, each)
    }

    fn join(&mut self, ranks: &Ranks) {
        self.network.join(ranks);
    }
}

/// What can be done with an encoder whose kind is unknown.
trait AnyEncoder<const FEATURES: usize, D: Backend>: NamedTensors<D> + Debug {
    fn forward(&self, x: View<D>) -> Features<D, FEATURES>;
    fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>>;
    fn boxed(&self) -> Box<dyn AnyEncoder<FEATURES, D>>;
}

impl<E, const FEATURES: usize, D: Backend> AnyEncoder<FEATURES, D> for E
where
    E: AnySize<D, FEATURES> + Debug + 'static,
{
    fn forward(&self, x: View<D>) -> Features<D, FEATURES> {
        self.encode(x)
    }

    fn forward_mut(&mut self, x: View<D, Taped<D>>) -> Features<D, FEATURES, Taped<D>> {
        self.encode_mut(x)
    }

    fn boxed(&self) -> Box<dyn AnyEncoder<FEATURES, D>> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::encoders::ResNet8;

    fn backbone(size: usize) -> Backbone<64, Cpu> {
        Backbone::new::<ResNet8<Cpu>>(size, &Cpu::default(), &InitRng::new(0))
    }

    fn view(size: usize) -> View<Cpu> {
        let pixels: Vec<f32> = (0..2 * 3 * size * size).map(|i| (i as f32 * 0.37).sin()).collect();
        View::copied(&Cpu::default(), size, &pixels)
    }

    #[test]
    fn all_sizes_have_one_set_of_weights() {
        let (full, small) = (backbone(32), backbone(16));
        assert_eq!((full.size(), small.size()), (32, 16));
        for size in [16, 32] {
            assert_eq!(full.forward(view(size)).as_vec(), small.forward(view(size)).as_vec());
        }
        let mut names = Vec::new();
        full.visit("", &mut |name, _, _| names.push(name.to_owned()));
        assert_eq!(names.iter().filter(|name| *name == "conv1.weight").count(), 1);
    }

    #[test]
    #[should_panic(expected = "images of 24 x 24 for an encoder of [16, 32]")]
    fn another_size_is_refused() {
        backbone(32).forward(view(24));
    }

    #[test]
    #[should_panic(expected = "64 is none of the encoder's sizes, [16, 32]")]
    fn an_encoder_of_another_size_is_refused() {
        backbone(64);
    }
}
