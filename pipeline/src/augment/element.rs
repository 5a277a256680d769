//! What a view is made of: the type of its numbers, in either layout.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::cpu::for_each_cpu;
use super::{Augmenter, Dtype, Layout};
use crate::image::interleave;

/// The numbers that views are written as.
pub trait Element: sealed::Write {
    /// The name of this type.
    const DTYPE: Dtype;
}

/// Pixels as they are, not normalised.
impl Element for u8 {
    const DTYPE: Dtype = Dtype::U8;
}

/// Normalised, then rounded.
impl Element for f16 {
    const DTYPE: Dtype = Dtype::F16;
}

/// Normalised.
impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

mod sealed {
    use bytemuck::Pod;

    use super::{Augmenter, Layout};

    pub trait Write: Pod + Send + Sync {
        /// Writes the view that was rendered last.
        fn write(augmenter: &Augmenter, layout: Layout, out: &mut [Self]);
    }
}

pub(super) use sealed::Write;

impl Write for u8 {
    fn write(augmenter: &Augmenter, layout: Layout, out: &mut [u8]) {
        match layout {
            Layout::Nchw => out.copy_from_slice(augmenter.view.bytes()),
            Layout::Nhwc => augmenter.view.interleave(augmenter.cpu, out),
        }
    }
}

impl Write for f32 {
    fn write(augmenter: &Augmenter, layout: Layout, out: &mut [f32]) {
        match layout {
            Layout::Nchw => augmenter.normaliser.planes(augmenter.view.bytes(), out),
            Layout::Nhwc => pieces(augmenter, out.len(), |at, planes| {
                interleave_singles(augmenter.cpu, planes, &mut out[3 * at..][..3 * planes[0].len()]);
            }),
        }
    }
}

impl Write for f16 {
    fn write(augmenter: &Augmenter, layout: Layout, out: &mut [f16]) {
        let pixels = out.len() / 3;
        let mut halves = [[f16::ZERO; PIECE]; 3];
        pieces(augmenter, out.len(), |at, planes| match layout {
            Layout::Nchw => {
                for (plane, out) in planes.into_iter().zip(out.chunks_exact_mut(pixels)) {
                    out[at..at + plane.len()].convert_from_f32_slice(plane);
                }
            }
            Layout::Nhwc => {
                let len = planes[0].len();
                for (plane, half) in planes.into_iter().zip(&mut halves) {
                    half[..len].convert_from_f32_slice(plane);
                }
                let planes = halves.each_ref().map(|half| &half[..len]);
                interleave_halves(augmenter.cpu, planes, &mut out[3 * at..][..3 * len]);
            }
        });
    }
}

/// Pixels that are normalised at a time, so that they are still in the first cache when they are written out.
const PIECE: usize = 1 << 10;

/// Normalises a view of `len` numbers piece by piece: the first pixel of a piece, and its three planes.
fn pieces(augmenter: &Augmenter, len: usize, mut write: impl FnMut(usize, [&[f32]; 3])) {
    let planes = augmenter.view.split();
    assert_eq!(len, 3 * planes[0].len(), "a view has 3 x size x size numbers");
    let mut values = [[0.0; PIECE]; 3];
    for at in (0..planes[0].len()).step_by(PIECE) {
        let piece = at..planes[0].len().min(at + PIECE);
        for ((channel, plane), values) in planes.iter().enumerate().zip(&mut values) {
            augmenter.normaliser.plane(channel, &plane[piece.clone()], &mut values[..piece.len()]);
        }
        write(at, values.each_ref().map(|values| &values[..piece.len()]));
    }
}

for_each_cpu! {
    fn interleave_singles(planes: [&[f32]; 3], out: &mut [f32]) {
        interleave(planes, out);
    }
}

for_each_cpu! {
    fn interleave_halves(planes: [&[f16]; 3], out: &mut [f16]) {
        interleave(planes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Recipe;
    use crate::augment::cpu::Cpu;
    use crate::image::RgbImage;
    use crate::rng::ViewRng;

    /// The same view of one image, on one processor.
    fn view<E: Element>(cpu: Cpu, size: usize, layout: Layout) -> Vec<E> {
        let pixels: Vec<u8> = (0..60 * 50 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = RgbImage { width: 60, height: 50, pixels: &pixels };
        let recipe = Recipe { size, ..Recipe::imagenet() };
        let params = recipe.draw(0, &mut ViewRng::new(4, 0, 9, 0), 60, 50);
        let mut out = vec![E::zeroed(); 3 * size * size];
        Augmenter::with_cpu(recipe, cpu).view(image.into(), &params, layout, &mut out).unwrap();
        out
    }

    fn transposed<E: Element>(planes: &[E]) -> Vec<E> {
        let pixels = planes.len() / 3;
        (0..planes.len()).map(|i| planes[i % 3 * pixels + i / 3]).collect()
    }

    #[test]
    fn every_format_holds_the_same_numbers_on_every_cpu() {
        // One piece, several, and a last one that is cut.
        for size in [1, 16, 32, 45] {
            for cpu in Cpu::all() {
                let expected = view::<f32>(Cpu::Plain, size, Layout::Nchw);
                assert_eq!(view::<f32>(cpu, size, Layout::Nchw), expected);
                assert_eq!(view::<f32>(cpu, size, Layout::Nhwc), transposed(&expected));
                let halves: Vec<f16> = expected.iter().map(|&value| f16::from_f32_const(value)).collect();
                assert_eq!(view::<f16>(cpu, size, Layout::Nchw), halves);
                assert_eq!(view::<f16>(cpu, size, Layout::Nhwc), transposed(&halves));
                let bytes = view::<u8>(cpu, size, Layout::Nchw);
                assert_eq!(view::<u8>(cpu, size, Layout::Nhwc), transposed(&bytes));
                let levels = Recipe::imagenet().levels();
                let channel = |i: usize| i / (size * size);
                let values = bytes.iter().enumerate().map(|(i, &byte)| levels[channel(i)][usize::from(byte)]);
                assert_eq!(values.collect::<Vec<_>>(), expected);
            }
        }
    }
}
