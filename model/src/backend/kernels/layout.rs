use super::count;
use crate::backend::Format;

/// How values lie: `batch x channels x plane` in either [`Format`]. Filters are such a batch, `outputs x inputs x taps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
}

impl Layout {
    /// Of a tensor with so many channels and these sizes, `batch x channels` or `batch x channels x height x width`.
    ///
    /// # Panics
    /// If the sizes are of no [`Format`].
    pub(crate) fn of(sizes: &[usize], channels: usize) -> Self {
        let format = Format::of_sizes(channels, sizes);
        Self { format, batch: sizes[0], channels, plane: sizes[2..].iter().product() }
    }

    /// A matrix of so many values in single precision: one image of one pixel, of as many channels.
    pub(crate) fn matrix(values: usize) -> Self {
        Self { format: Format::F32, batch: 1, channels: values, plane: 1 }
    }

    /// The same values in another format.
    pub(crate) fn in_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// As many images with planes of another size.
    pub(crate) fn with_plane(self, plane: usize) -> Self {
        Self { plane, ..self }
    }

    /// Words of all values.
    pub(crate) fn len(&self) -> usize {
        self.batch * self.format.words(self.channels) * self.plane
    }

    /// Batch, channels and plane as kernels take them.
    ///
    /// # Panics
    /// If there are more values than kernels count.
    pub(crate) fn counts(&self) -> [u32; 3] {
        count(self.in_format(Format::F32).len());
        [self.batch, self.channels, self.plane].map(count)
    }

    /// The kernel of this format.
    ///
    /// # Panics
    /// If it is [`Format::Bf16`] with an odd number of channels, which kernels of pairs do not take.
    pub(crate) fn kernel(&self, single: &'static str, half: &'static str) -> &'static str {
        match self.format {
            Format::F32 => single,
            Format::Bf16 => {
                assert!(self.channels.is_multiple_of(2), "{} channels are no pairs", self.channels);
                half
            }
        }
    }
}
