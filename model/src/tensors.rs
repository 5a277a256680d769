//! The tensor types that flow between layers.

use dfdx::prelude::*;

use crate::backend::{Backend, Format, computed, take_gradient};

/// Images or feature maps, `batch x C x S x S`: channels and size are types, batch and [`Format`] are run-time values.
///
/// In [`Format::F32`] a tensor as any other. In [`Format::Bf16`] its values are words of two, so that only the layers
/// and [`in_format`] can do anything with it, no operator of dfdx.
pub type Images<D, const C: usize, const S: usize, T = NoneTape> = Tensor<ImagesShape<C, S>, f32, D, T>;

/// The shape of [`Images`].
pub type ImagesShape<const C: usize, const S: usize> = (usize, ChannelAxis<C>, Const<S>, Const<S>);

/// The axis of `C` channels, as long as the words that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelAxis<const C: usize>(pub Format);

impl<const C: usize> Dim for ChannelAxis<C> {
    fn size(&self) -> usize {
        self.0.words(C)
    }

    fn from_size(size: usize) -> Option<Self> {
        Format::of(C, size).map(Self)
    }
}

/// The shape of a batch of images.
///
/// # Panics
/// If images of one channel are to be of [`Format::Bf16`]: as many words would be of either format.
pub const fn images_shape<const C: usize, const S: usize>(batch: usize, format: Format) -> ImagesShape<C, S> {
    assert!(C > 1 || matches!(format, Format::F32), "one channel makes no pair");
    (batch, ChannelAxis(format), Const, Const)
}

/// Feature vectors, `batch x C`.
pub type Features<D, const C: usize, T = NoneTape> = Tensor<(usize, Const<C>), f32, D, T>;

/// One number for each channel, or for each output of a linear layer.
pub type Channels<D, const C: usize> = Tensor<Rank1<C>, f32, D>;

/// The tape of a training pass.
pub type Taped<D> = OwnedTape<f32, D>;

/// Copies a batch of images, `batch x C x S x S` values in NCHW order, into a tensor of [`Format::F32`].
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
    let mut images = dev.zeros_like(&images_shape(nchw.len() / image, Format::F32));
    images.copy_from(nchw);
    images
}

/// Images in `format`, rounded to what it can hold; gradients flow back in the format of `x`.
pub fn in_format<const C: usize, const S: usize, D: Backend, T: Tape<f32, D>>(
    x: Images<D, C, S, T>,
    format: Format,
) -> Images<D, C, S, T> {
    let from = *x.shape();
    if from.1 == ChannelAxis(format) {
        return x;
    }
    let (x, mut tape) = x.split_tape();
    let to = images_shape(from.0, format);
    let y = computed(x.device().convert(C, &x, to));

    let dev = x.device().clone();
    let (x_ghost, y_ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
        dev.convert_backward(C, (&from, &to), &grad_y, grads.get_or_alloc_mut(&x_ghost)?)
    });
    y.put_tape(tape)
}
