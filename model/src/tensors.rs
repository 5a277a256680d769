//! The tensor types that flow between layers.

use dfdx::prelude::*;

use crate::backend::Backend;

/// Images or feature maps, `batch x C x S x S` (NCHW): channels and size are types, the batch is a run-time value.
pub type Images<D, const C: usize, const S: usize, T = NoneTape> =
    Tensor<(usize, Const<C>, Const<S>, Const<S>), f32, D, T>;

/// Feature vectors, `batch x C`.
pub type Features<D, const C: usize, T = NoneTape> = Tensor<(usize, Const<C>), f32, D, T>;

/// One number for each channel, or for each output of a linear layer.
pub type Channels<D, const C: usize> = Tensor<Rank1<C>, f32, D>;

/// The tape of a training pass.
pub type Taped<D> = OwnedTape<f32, D>;

/// Copies a batch of images, `batch x C x S x S` values in NCHW order, into a tensor.
///
/// ```
/// use simsiam_model::{Images, images_from};
/// # use dfdx::prelude::*;
/// # let dev = Cpu::default();
/// let x: Images<Cpu, 3, 32> = images_from(&dev, &[0.5; 2 * 3 * 32 * 32]);
/// assert_eq!(x.shape().0, 2);
/// ```
///
/// # Panics
/// If the slice is not a whole number of images.
pub fn images_from<D: Backend, const C: usize, const S: usize>(dev: &D, nchw: &[f32]) -> Images<D, C, S> {
    let image = C * S * S;
    assert!(
        nchw.len().is_multiple_of(image),
        "{} values are no whole number of {C} x {S} x {S} images",
        nchw.len()
    );
    let mut images = dev.zeros_like(&(nchw.len() / image, Const, Const, Const));
    images.copy_from(nchw);
    images
}
