//! The tensor types that flow between layers.

use dfdx::prelude::*;

use crate::backend::{Backend, Format, computed, take_gradient};
use crate::collective::Ranks;

/// Images or feature maps, `batch x C x S x S`. Channels and size are part of the type; batch and [`Format`] are
/// run-time values.
///
/// This wraps dfdx's tensor: in [`Format::Bf16`] its elements are words of two values, on which dfdx's operators do not
/// work. [`tensor`](Self::tensor) gives a tensor for them. The tensor's own shape is a run-time value, so the layers'
/// code is compiled once instead of once per size.
#[derive(Clone, Debug)]
pub struct Images<D: Storage<f32>, const C: usize, const S: usize, T = NoneTape>(pub(crate) Stored<D, T>);

/// The tensor of images.
pub(crate) type Stored<D, T = NoneTape> = Tensor<ImagesShape, f32, D, T>;

/// The shape of the tensor of images: batch, words of a pixel's channels, height and width.
pub type ImagesShape = (usize, usize, usize, usize);

/// The shape of the tensor of a batch of images.
///
/// # Panics
/// If `format` is [`Format::Bf16`] and there is one channel: the number of words could not tell the formats apart.
pub fn images_shape(batch: usize, channels: usize, size: usize, format: Format) -> ImagesShape {
    assert!(channels > 1 || format == Format::F32, "one channel makes no pair");
    (batch, format.words(channels), size, size)
}

impl<D: Backend, const C: usize, const S: usize, T> Images<D, C, S, T> {
    /// Number of images.
    pub fn batch(&self) -> usize {
        self.0.shape().0
    }

    /// How they are stored.
    pub fn format(&self) -> Format {
        Format::of_sizes(C, &self.0.shape().concrete())
    }

    /// The tensor of images in single precision.
    ///
    /// # Panics
    /// If they are of another [`Format`]: see [`in_format`].
    pub fn tensor(&self) -> &Tensor<ImagesShape, f32, D, T> {
        self.assert_single();
        &self.0
    }

    /// As [`tensor`](Self::tensor).
    ///
    /// # Panics
    /// As [`tensor`](Self::tensor).
    pub fn into_tensor(self) -> Tensor<ImagesShape, f32, D, T> {
        self.assert_single();
        self.0
    }

    /// The values of images in single precision, in NCHW order.
    ///
    /// # Panics
    /// As [`tensor`](Self::tensor).
    pub fn as_vec(&self) -> Vec<f32> {
        self.tensor().as_vec()
    }

    fn assert_single(&self) {
        assert!(self.format() == Format::F32, "images of bf16 are no tensor of single values");
    }
}

impl<D: Backend, const C: usize, const S: usize, T: Tape<f32, D>> Images<D, C, S, T> {
    /// The images and their tape.
    pub fn split_tape(self) -> (Images<D, C, S>, T) {
        let (images, tape) = self.0.split_tape();
        (Images(images), tape)
    }

    /// The same images with an empty tape.
    pub fn with_empty_tape(&self) -> Self {
        Self(self.0.with_empty_tape())
    }
}

impl<D: Backend, const C: usize, const S: usize> Images<D, C, S> {
    /// Black images of [`Format::F32`].
    pub fn zeros(dev: &D, batch: usize) -> Self {
        Self(dev.zeros_like(&images_shape(batch, C, S, Format::F32)))
    }

    /// The images with a tape.
    pub fn put_tape<T: Tape<f32, D>>(self, tape: T) -> Images<D, C, S, T> {
        Images(self.0.put_tape(tape))
    }

    /// The same images with a new tape, which keeps all gradients.
    pub fn leaky_trace(&self) -> Images<D, C, S, Taped<D>> {
        Images(self.0.leaky_trace())
    }

    /// As [`leaky_trace`](Self::leaky_trace).
    pub fn leaky_traced(self) -> Images<D, C, S, Taped<D>> {
        Images(self.0.leaky_traced())
    }
}

/// One view of each image of a batch, `batch x 3 x size x size`, as input of an encoder. Its size is a run-time value;
/// the encoder's layers are compiled for given sizes.
#[derive(Clone, Debug)]
pub struct View<D: Storage<f32>, T = NoneTape>(Stored<D, T>);

impl<D: Backend> View<D> {
    /// Copies `batch x 3 x size x size` values.
    ///
    /// # Panics
    /// If the slice is not a whole number of images.
    pub fn copied(dev: &D, size: usize, nchw: &[f32]) -> Self {
        let image = 3 * size * size;
        assert!(nchw.len().is_multiple_of(image), "{} values are no images of {size} x {size}", nchw.len());
        let mut images = dev.zeros_like(&images_shape(nchw.len() / image, 3, size, Format::F32));
        images.copy_from(nchw);
        Self(images).computed_in(dev.image_format())
    }

    /// The next of the views that were sent to the device.
    ///
    /// # Panics
    /// If there is none left, or it has another size.
    pub fn received(dev: &D, sent: &mut D::Sent, batch: usize, size: usize) -> Self {
        let images = computed(dev.receive(sent, images_shape(batch, 3, size, Format::F32)));
        Self(images).computed_in(dev.image_format())
    }

    /// The same images in the format that the device computes in.
    fn computed_in(self, format: Format) -> Self {
        if Format::of_sizes(3, &self.0.shape().concrete()) == format {
            return self;
        }
        let shape = images_shape(self.0.shape().0, 3, self.size(), format);
        Self(computed(self.0.device().convert(3, &self.0, shape)))
    }

    /// The images with these numbers of the batch that all `ranks` have equal shares of, in rank order.
    pub(crate) fn exchanged(&self, ranks: &Ranks, numbers: &[usize]) -> Self {
        let all = ranks.all_gather(&self.0.as_vec());
        let &(batch, words, height, width) = self.0.shape();
        let image = all.len() / (batch * ranks.size());
        let images = numbers.iter().flat_map(|&number| &all[number * image..][..image]).copied().collect();
        Self(self.0.device().tensor_from_vec(images, (numbers.len(), words, height, width)))
    }

    /// The same view with a tape that starts with `grads`.
    pub fn traced(self, grads: Gradients<f32, D>) -> View<D, Taped<D>> {
        View(self.0.traced(grads))
    }

    /// The same view with a tape that keeps all gradients.
    pub fn leaky_traced(self) -> View<D, Taped<D>> {
        View(self.0.leaky_traced())
    }
}

impl<D: Backend, T: Tape<f32, D>> View<D, T> {
    /// Height and width of the images.
    pub fn size(&self) -> usize {
        self.0.shape().2
    }

    /// The images, as layers for this size take them.
    ///
    /// # Panics
    /// If they are of another size.
    pub(crate) fn sized<const S: usize>(self) -> Images<D, 3, S, T> {
        let size = self.size();
        assert!(size == S, "images of {size} x {size} for an encoder of {S} x {S}");
        Images(self.0)
    }
}

/// The same tensor, its shape a run-time value.
pub(crate) fn any_size<S: Shape, Dynamic, D: Backend>(tensor: &Tensor<S, f32, D>) -> Tensor<Dynamic, f32, D>
where
    Dynamic: Shape<Concrete = S::Concrete>,
{
    sized(tensor.clone())
}

/// The same tensor with another type of its shape.
///
/// # Panics
/// If its sizes are others.
pub(crate) fn sized<S: Shape, To, D: Backend, T: Tape<f32, D>>(
    tensor: Tensor<S, f32, D, T>,
) -> Tensor<To, f32, D, T>
where
    To: Shape<Concrete = S::Concrete>,
{
    tensor
        .try_realize()
        .unwrap_or_else(|tensor| panic!("a tensor of other sizes: {:?}", tensor.shape().concrete()))
}

/// Feature vectors, `batch x C`.
pub type Features<D, const C: usize, T = NoneTape> = Tensor<(usize, Const<C>), f32, D, T>;

/// One value per channel, or per output of a linear layer.
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
/// assert_eq!(x.batch(), 2);
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
    let mut images = Images::zeros(dev, nchw.len() / image);
    images.0.copy_from(nchw);
    images
}

/// Images in `format`, rounded to it. Gradients flow back in the format of `x`.
pub fn in_format<const C: usize, const S: usize, D: Backend, T: Tape<f32, D>>(
    x: Images<D, C, S, T>,
    format: Format,
) -> Images<D, C, S, T> {
    if x.format() == format {
        return x;
    }
    let (Images(x), mut tape) = x.split_tape();
    let from = *x.shape();
    let to = images_shape(from.0, C, S, format);
    let y = computed(x.device().convert(C, &x, to));

    let dev = x.device().clone();
    let (x_ghost, y_ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
        dev.convert_backward(C, (&from, &to), &grad_y, grads.get_or_alloc_mut(&x_ghost)?)
    });
    Images(y.put_tape(tape))
}
