//! Images of either [`Format`] as the planes of single precision that the CPU's operations work on.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::bf16::{narrowed, widened};
use super::tensor_view::{add, values, values_mut, written};
use super::{Precision, precision, vectorized};
use crate::backend::{Format, FormatKernel};

/// Pixels that are packed together.
const RUN: usize = 16;

/// How a batch of images is stored.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    format: Format,
    channels: usize,
    plane: usize,
}

impl Planes {
    /// Of a shape `batch x channels x height x width`, or `batch x channels`.
    ///
    /// # Panics
    /// If so many channels are stored in no [`Format`] of this shape.
    pub(super) fn of<S: Shape>(shape: &S, channels: usize) -> Self {
        let sizes = shape.concrete();
        let sizes = sizes.as_ref();
        Self { format: Format::of_sizes(channels, sizes), channels, plane: sizes[2..].iter().product() }
    }

    /// Whether the values are bf16.
    pub(super) fn are_bf16(&self) -> bool {
        self.format == Format::Bf16
    }

    /// Images of other sizes in the same format.
    pub(super) fn resized(&self, channels: usize, size: usize) -> Self {
        Self { channels, plane: size * size, ..*self }
    }

    /// A weight as images of this format are multiplied by it.
    pub(super) fn weight<'a>(&self, weight: &'a [f32]) -> Cow<'a, [f32]> {
        match self.format {
            Format::F32 => Cow::Borrowed(weight),
            Format::Bf16 => Cow::Owned(rounded(weight)),
        }
    }

    /// The values, `batch x channels x plane`.
    pub(super) fn read<'a>(&self, words: &'a [f32]) -> Cow<'a, [f32]> {
        match self.format {
            Format::F32 => Cow::Borrowed(words),
            Format::Bf16 => Cow::Owned(self.unpacked(words)),
        }
    }

    /// Changes the values.
    pub(super) fn change(&self, words: &mut [f32], change: impl FnOnce(&mut [f32])) {
        match self.format {
            Format::F32 => change(words),
            Format::Bf16 => {
                let mut values = self.unpacked(words);
                change(&mut values);
                self.pack(&values, words);
            }
        }
    }

    /// A new tensor with the values that `write` writes.
    ///
    /// # Safety
    /// `write` initialises every element.
    pub(super) unsafe fn written<S: Shape>(
        &self,
        dev: &Cpu,
        shape: S,
        write: impl FnOnce(&mut [MaybeUninit<f32>]),
    ) -> Result<Tensor<S, f32, Cpu>, CpuError> {
        match self.format {
            // SAFETY: the caller promises the same.
            Format::F32 => unsafe { written(dev, shape, write) },
            Format::Bf16 => {
                let batch = shape.concrete().as_ref()[0];
                // SAFETY: the caller promises the same.
                let values_of_it = unsafe { written(dev, (batch, self.channels, self.plane), write)? };
                let mut packed = dev.try_zeros_like(&shape)?;
                self.pack(values(&values_of_it), values_mut(&mut packed));
                Ok(packed)
            }
        }
    }

    fn unpacked(&self, words: &[f32]) -> Vec<f32> {
        let (image, packed) = (self.image().max(1), self.image_words().max(1));
        assert!(words.len().is_multiple_of(packed), "{} words are no whole images of {packed}", words.len());
        let mut values = vec![0.0; words.len() / packed * image];
        let images = values.par_chunks_mut(image).zip(words.par_chunks(packed));
        images.for_each(|(values, words)| self.unpack_image(words, values));
        values
    }

    fn unpack_image(&self, words: &[f32], values: &mut [f32]) {
        let pairs = self.channels.div_ceil(2);
        self.each_run(
            #[inline(always)]
            |pair, pixels| {
                let mut run = [0; RUN];
                let of_pair = words[pixels.start * pairs + pair..].iter().step_by(pairs);
                run.iter_mut().zip(of_pair.take(pixels.len())).for_each(|(to, word)| *to = word.to_bits());
                let (low, high) = (run.map(|word| word << 16), run.map(|word| word & 0xffff_0000));
                for (channel, run) in [low, high].iter().enumerate().take(self.channels - 2 * pair) {
                    let to = &mut values[(2 * pair + channel) * self.plane..][pixels.clone()];
                    to.iter_mut().zip(run).for_each(|(to, bits)| *to = f32::from_bits(*bits));
                }
            },
        );
    }

    fn pack(&self, values: &[f32], words: &mut [f32]) {
        let (image, packed) = (self.image().max(1), self.image_words().max(1));
        assert_eq!(words.len() * image, values.len() * packed, "values are as many as the words hold");
        let images = words.par_chunks_mut(packed).zip(values.par_chunks(image));
        images.for_each(|(words, values)| self.pack_image(values, words));
    }

    fn pack_image(&self, values: &[f32], words: &mut [f32]) {
        let pairs = self.channels.div_ceil(2);
        self.each_run(
            #[inline(always)]
            |pair, pixels| {
                let mut runs = [[0; RUN]; 2];
                for (channel, run) in runs.iter_mut().enumerate().take(self.channels - 2 * pair) {
                    let from = &values[(2 * pair + channel) * self.plane..][pixels.clone()];
                    run.iter_mut().zip(from).for_each(|(to, value)| *to = u32::from(narrowed(*value)));
                }
                let [low, high] = runs;
                let of_pair = words[pixels.start * pairs + pair..].iter_mut().step_by(pairs);
                let run = low.iter().zip(&high).take(pixels.len());
                of_pair.zip(run).for_each(|(to, (low, high))| *to = f32::from_bits(low | high << 16));
            },
        );
    }

    /// Calls `each` for each pair of channels of each few pixels: so many that both sides stay in the first cache.
    fn each_run(&self, mut each: impl FnMut(usize, Range<usize>)) {
        vectorized(
            #[inline(always)]
            || {
                for first in (0..self.plane).step_by(RUN) {
                    for pair in 0..self.channels.div_ceil(2) {
                        each(pair, first..(first + RUN).min(self.plane));
                    }
                }
            },
        );
    }

    /// Words of an image.
    pub(super) fn image_words(&self) -> usize {
        self.format.words(self.channels) * self.plane
    }

    /// Values of an image.
    fn image(&self) -> usize {
        self.channels * self.plane
    }
}

/// A factor of a linear layer: as it is, or rounded to bf16 where that is this thread's precision.
pub(super) fn factors(values: &[f32]) -> Cow<'_, [f32]> {
    match precision() {
        Precision::F32 => Cow::Borrowed(values),
        Precision::Bf16 => Cow::Owned(rounded(values)),
    }
}

/// Rounded to bf16.
fn rounded(values: &[f32]) -> Vec<f32> {
    const PART: usize = 1 << 14;
    let mut rounded = values.to_vec();
    rounded.par_chunks_mut(PART).for_each(|part| {
        vectorized(
            #[inline(always)]
            || part.iter_mut().for_each(|value| *value = widened(narrowed(*value))),
        );
    });
    rounded
}

impl FormatKernel for Cpu {
    fn image_format(&self) -> Format {
        match precision() {
            Precision::F32 => Format::F32,
            Precision::Bf16 => Format::Bf16,
        }
    }

    fn convert<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let from = Planes::of(x.shape(), channels).read(values(x));
        // SAFETY: as many values are written as there are.
        unsafe {
            Planes::of(&output, channels).written(self, output, |to| {
                to.write_copy_of_slice(&from);
            })
        }
    }

    fn convert_backward<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        (x, y): (&X, &Y),
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let grad_output = Planes::of(y, channels).read(grad_output);
        Planes::of(x, channels).change(grad_x, |grad_x| {
            add(grad_x, &grad_output);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::tensors::images_shape;

    fn word(low: f32, high: f32) -> f32 {
        f32::from_bits(u32::from(narrowed(low)) | u32::from(narrowed(high)) << 16)
    }

    fn halves(word: f32) -> (f32, f32) {
        (f32::from_bits(word.to_bits() << 16), f32::from_bits(word.to_bits() & 0xffff_0000))
    }

    #[test]
    fn values_survive_packing_as_rounded() {
        let dev = Cpu::default();
        let numbers: Vec<f32> = (0..2 * 3 * 25).map(|i| (i as f32).sin() * 1e3).collect();
        let x = dev.tensor_from_vec(numbers.clone(), images_shape(2, 3, 5, Format::F32));
        let half = dev.convert(3, &x, images_shape(2, 3, 5, Format::Bf16)).unwrap();
        assert_eq!(half.shape().concrete(), [2, 2, 5, 5]);
        let back = dev.convert(3, &half, *x.shape()).unwrap().as_vec();
        let rounded: Vec<f32> = numbers.iter().map(|value| bf16::from_f32(*value).to_f32()).collect();
        assert_eq!(back, rounded);

        // The second image's pixel (0, 1): channels 0 and 1, then channel 2 and nothing.
        let (words, at) = (half.as_vec(), (25 + 1) * 2);
        let of = |channel: usize| rounded[(3 + channel) * 25 + 1];
        assert_eq!([halves(words[at]), halves(words[at + 1])], [(of(0), of(1)), (of(2), 0.0)]);
    }

    #[test]
    fn gradients_are_added_in_the_format_of_what_they_belong_to() {
        let dev = Cpu::default();
        let (single, half) = (images_shape(1, 2, 1, Format::F32), images_shape(1, 2, 1, Format::Bf16));
        let gradient = |values: &[f32]| {
            let mut gradient = Storage::<f32>::try_alloc_len(&dev, values.len()).unwrap();
            gradient.copy_from_slice(values);
            gradient
        };
        let mut of_single = gradient(&[1.0, 2.0]);
        dev.convert_backward(2, (&single, &half), &gradient(&[word(0.5, -4.0)]), &mut of_single).unwrap();
        assert_eq!(of_single[..], [1.5, -2.0]);
        let mut of_half = gradient(&[word(1.0, 3.0)]);
        dev.convert_backward(2, (&half, &single), &gradient(&[0.25, 1.0]), &mut of_half).unwrap();
        assert_eq!(halves(of_half[0]), (1.25, 4.0));
    }
}
