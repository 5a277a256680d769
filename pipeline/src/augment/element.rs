//! What a view is made of.

use super::Augmenter;

/// The numbers that views are written as.
pub trait Element: sealed::Write {}

/// Normalised, three planes of `size` x `size`: channels first.
impl Element for f32 {}

/// As they are, `size` x `size` interleaved RGB pixels: channels last.
impl Element for u8 {}

mod sealed {
    pub trait Write: Copy + Send + 'static {
        /// Writes the view that was rendered last.
        fn write(augmenter: &super::Augmenter, out: &mut [Self]);
    }
}

pub(super) use sealed::Write;

impl Write for f32 {
    fn write(augmenter: &Augmenter, out: &mut [f32]) {
        augmenter.normaliser.planes(augmenter.view.bytes(), out);
    }
}

impl Write for u8 {
    fn write(augmenter: &Augmenter, out: &mut [u8]) {
        augmenter.view.interleave(augmenter.cpu, out);
    }
}
