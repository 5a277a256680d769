//! Operations of the consumer's own, after the recipe's steps.

use std::fmt;

use crate::augment::{Layout, PixelsMut};
use crate::rng::ViewRng;

/// Changes views when they are finished, on the worker that made them, in the batch's memory.
///
/// Batches stay the same for any number of workers and after a resume as long as the outcome depends on nothing but the
/// [`FinishedView`], its random stream included. A panic ends the pipeline with an error that names the sample.
///
/// ```
/// use simsiam_pipeline::augment::PixelsMut;
/// use simsiam_pipeline::{FinishedView, ViewOperation};
///
/// /// Adds noise to normalised views: N(0, 1) is not needed, a uniform one will do.
/// #[derive(Debug)]
/// struct Noise(f64);
///
/// impl ViewOperation for Noise {
///     fn apply(&self, view: &mut FinishedView<'_>) {
///         if let PixelsMut::F32(values) = &mut view.pixels {
///             values.iter_mut().for_each(|value| *value += view.rng.uniform(-self.0, self.0) as f32);
///         }
///     }
/// }
/// ```
pub trait ViewOperation: fmt::Debug + Send + Sync {
    /// Changes one view.
    fn apply(&self, view: &mut FinishedView<'_>);
}

/// A view that is about to be handed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct FinishedView<'a> {
    /// Its numbers, `3 x size x size` or `size x size x 3`.
    pub pixels: PixelsMut<'a>,
    /// Which of the two.
    pub layout: Layout,
    /// Its side, in pixels.
    pub size: usize,
    /// The dataset index of its image.
    pub sample: u64,
    /// The class of its image, where the shard has one.
    pub label: Option<u32>,
    /// Its number among the views of the image.
    pub view: usize,
    /// Its own random stream, apart from the one that the recipe draws from.
    pub rng: ViewRng,
}

/// Sets the operation's streams apart from the recipe's.
const OPERATION: u64 = 1 << 63;

/// The stream of an operation on one view.
pub(crate) fn stream(seed: u64, epoch: u64, sample: u64, view: usize) -> ViewRng {
    ViewRng::new(seed, epoch, sample, OPERATION | view as u64)
}
