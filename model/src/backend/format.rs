use dfdx::prelude::*;

/// How images are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Single precision, `batch x channels x height x width`, one 4-byte word per value.
    #[default]
    F32,
    /// bf16, `batch x height x width x channels`: a word holds two neighbouring channels of a pixel, the first in its
    /// low half. With an odd number of channels, the last is paired with 0.
    Bf16,
}

impl Format {
    /// Words that the channels of one pixel take.
    pub const fn words(self, channels: usize) -> usize {
        match self {
            Self::F32 => channels,
            Self::Bf16 => channels.div_ceil(2),
        }
    }

    /// The format in which a pixel of `channels` channels takes `words`; a single channel is always [`Format::F32`].
    pub const fn of(channels: usize, words: usize) -> Option<Self> {
        match words {
            _ if words == channels => Some(Self::F32),
            _ if words == channels.div_ceil(2) => Some(Self::Bf16),
            _ => None,
        }
    }

    /// The format of a tensor with these sizes, of which the second counts the words of so many channels.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn of_sizes(channels: usize, sizes: &[usize]) -> Self {
        let format = Self::of(channels, sizes[1]);
        format.unwrap_or_else(|| panic!("{channels} channels are not stored as {sizes:?}"))
    }
}

/// Conversion of images to the format that a device computes in.
pub trait FormatKernel: Storage<f32> {
    /// The format of images that this device's convolutions take.
    fn image_format(&self) -> Format;

    /// Converts images `batch x channels x size x size` from the format of `x` to that of the shape `output`.
    fn convert<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err>;

    /// Adds a gradient in the format of the second shape, of `y`, to one in the format of the first, of `x`.
    fn convert_backward<X: Shape, Y: Shape>(
        &self,
        channels: usize,
        shapes: (&X, &Y),
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_words() {
        for channels in [2, 3, 16, 17, 2048] {
            for format in [Format::F32, Format::Bf16] {
                assert_eq!(Format::of(channels, format.words(channels)), Some(format));
            }
            assert_eq!(Format::of(channels, channels + 1), None);
        }
    }
}
