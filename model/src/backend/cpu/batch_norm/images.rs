//! Batch norm of images: a channel is one plane of each image, and as many channels are done at a time as make a long
//! run of neighbours.

use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

use super::sums::Sums;
use super::{Backward, Forward, GradientSums, GradientTerms, Layout, Moments, Source, Terms};
use crate::backend::cpu::vectorized;

/// Values of a run.
const RUN: usize = 1024;
/// Parts of the work, if there are as many channels.
const MIN_PARTS: usize = 8;

/// Normalises every channel, and returns its moments.
pub(super) fn normalize(
    layout: Layout,
    op: &Forward<'_>,
    source: Source<'_>,
    y: &mut [MaybeUninit<f32>],
) -> Vec<Moments> {
    let blocks = Blocks::of(layout);
    let parts = blocks.split(y).into_par_iter().enumerate().map(|(block, runs)| {
        vectorized(
            #[inline(always)]
            || {
                let channels = blocks.channels(block);
                let moments = match source {
                    Source::Batch => moments(layout, channels.clone(), op.x),
                    Source::Given(moments) => moments[channels.clone()].to_vec(),
                };
                let terms: Vec<Terms> =
                    channels.clone().zip(&moments).map(|(c, moments)| op.terms(c, moments)).collect();
                for (image, run) in runs.into_iter().enumerate() {
                    let planes = run.chunks_exact_mut(layout.plane);
                    for ((c, y), terms) in channels.clone().zip(planes).zip(&terms) {
                        let plane = layout.plane_of(image, c);
                        let residual = op.residual.map(|residual| &residual[plane.clone()]);
                        normalize_plane(&op.x[plane], residual, *terms, op.floor, y);
                    }
                }
                moments
            },
        )
    });
    parts.collect::<Vec<_>>().concat()
}

#[inline(always)]
fn moments(layout: Layout, channels: Range<usize>, x: &[f32]) -> Vec<Moments> {
    // Differences from one of the values keep their digits where the mean is large.
    let origin = |c: usize| x.get(layout.plane_of(0, c).start).copied().unwrap_or_default();
    let mut sums = vec![Sums::new(); channels.len()];
    for image in 0..layout.batch {
        for (c, sums) in channels.clone().zip(&mut sums) {
            let origin = origin(c);
            sums.add(
                [&x[layout.plane_of(image, c)]],
                #[inline(always)]
                |[x]| [x - origin, (x - origin) * (x - origin)],
            );
        }
    }
    let moments = channels.zip(sums).map(|(c, sums)| {
        let [sum, squares] = sums.total();
        Moments::of_sums(origin(c), sum, squares, layout.count() as f64)
    });
    moments.collect()
}

#[inline(always)]
fn normalize_plane(
    x: &[f32],
    residual: Option<&[f32]>,
    terms: Terms,
    floor: f32,
    y: &mut [MaybeUninit<f32>],
) {
    let Terms { mean, factor, shift } = terms;
    match residual {
        Some(residual) => {
            for ((y, x), residual) in y.iter_mut().zip(x).zip(residual) {
                *y = MaybeUninit::new(((x - mean) * factor + shift + residual).max(floor));
            }
        }
        None => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = MaybeUninit::new(((x - mean) * factor + shift).max(floor));
            }
        }
    }
}

/// Turns `dL/dy` into `dL/dx`, adds to the residual's gradient, and returns every channel's sums.
pub(super) fn differentiate(
    layout: Layout,
    op: &Backward<'_>,
    grad: &mut [f32],
    residual: Option<&mut [f32]>,
) -> Vec<GradientSums> {
    let blocks = Blocks::of(layout);
    let residual = match residual {
        Some(residual) => blocks.split(residual).into_iter().map(Some).collect(),
        None => Vec::from_iter((0..blocks.count()).map(|_| None)),
    };
    let parts = blocks.split(grad).into_par_iter().zip(residual).enumerate();
    let sums = parts.map(|(block, (mut runs, residual))| {
        vectorized(
            #[inline(always)]
            || {
                let channels = blocks.channels(block);
                for (image, (to, run)) in residual.into_iter().flatten().zip(&runs).enumerate() {
                    let first = layout.plane_of(image, channels.start).start;
                    add_passed(to, run, op.y.map(|y| &y[first..][..run.len()]));
                }
                let sums = gradient_sums(layout, channels.clone(), op, &runs);
                let terms: Vec<GradientTerms> =
                    channels.clone().zip(&sums).map(|(c, sums)| op.terms(c, sums)).collect();
                for (image, run) in runs.iter_mut().enumerate() {
                    let planes = run.chunks_exact_mut(layout.plane);
                    for ((c, grad), terms) in channels.clone().zip(planes).zip(&terms) {
                        let plane = layout.plane_of(image, c);
                        differentiate_plane(*terms, &op.x[plane.clone()], op.y.map(|y| &y[plane]), grad);
                    }
                }
                sums
            },
        )
    });
    sums.collect::<Vec<_>>().concat()
}

#[inline(always)]
fn gradient_sums(
    layout: Layout,
    channels: Range<usize>,
    op: &Backward<'_>,
    runs: &[&mut [f32]],
) -> Vec<GradientSums> {
    let mut sums = vec![Sums::new(); channels.len()];
    for (image, run) in runs.iter().enumerate() {
        for ((c, grad), sums) in channels.clone().zip(run.chunks_exact(layout.plane)).zip(&mut sums) {
            let (plane, mean) = (layout.plane_of(image, c), op.mean[c]);
            let x = &op.x[plane.clone()];
            match op.y {
                Some(y) => sums.add(
                    [grad, x, &y[plane]],
                    #[inline(always)]
                    |[grad, x, y]| [passed(grad, y), passed(grad, y) * (x - mean)],
                ),
                None => sums.add(
                    [grad, x],
                    #[inline(always)]
                    |[grad, x]| [grad, grad * (x - mean)],
                ),
            }
        }
    }
    let total = |sums: Sums| {
        let [plain, centred] = sums.total();
        GradientSums { plain, centred }
    };
    sums.into_iter().map(total).collect()
}

#[inline(always)]
fn differentiate_plane(terms: GradientTerms, x: &[f32], y: Option<&[f32]>, grad: &mut [f32]) {
    match y {
        Some(y) => {
            for ((grad, x), y) in grad.iter_mut().zip(x).zip(y) {
                *grad = terms.input_gradient(passed(*grad, *y), *x);
            }
        }
        None => {
            for (grad, x) in grad.iter_mut().zip(x) {
                *grad = terms.input_gradient(*grad, *x);
            }
        }
    }
}

/// What a ReLU with the output `y` lets through of its gradient. It is computed twice rather than stored: the compiler
/// makes a masked store of it, which is slow on some machines.
#[inline(always)]
fn passed(grad: f32, y: f32) -> f32 {
    if y > 0.0 { grad } else { 0.0 }
}

/// Adds what the activation lets through.
#[inline(always)]
fn add_passed(to: &mut [f32], grad: &[f32], y: Option<&[f32]>) {
    match y {
        Some(y) => {
            for ((to, grad), y) in to.iter_mut().zip(grad).zip(y) {
                *to += passed(*grad, *y);
            }
        }
        None => {
            for (to, grad) in to.iter_mut().zip(grad) {
                *to += grad;
            }
        }
    }
}

impl Layout {
    /// Where a channel of an image is.
    fn plane_of(&self, image: usize, c: usize) -> Range<usize> {
        let at = (image * self.channels + c) * self.plane;
        at..at + self.plane
    }
}

/// The channels, a few neighbours at a time.
#[derive(Clone, Copy)]
struct Blocks {
    layout: Layout,
    /// Channels of a block; the last may have fewer.
    size: usize,
}

impl Blocks {
    fn of(layout: Layout) -> Self {
        let size = (RUN / layout.plane).min(layout.channels / MIN_PARTS).max(1);
        Self { layout, size }
    }

    fn count(&self) -> usize {
        self.layout.channels.div_ceil(self.size)
    }

    fn channels(&self, block: usize) -> Range<usize> {
        block * self.size..((block + 1) * self.size).min(self.layout.channels)
    }

    /// Each block's run of every image.
    fn split<'a, T>(&self, values: &'a mut [T]) -> Vec<Vec<&'a mut [T]>> {
        let Layout { batch, channels, plane } = self.layout;
        let mut blocks: Vec<Vec<&mut [T]>> = (0..self.count()).map(|_| Vec::with_capacity(batch)).collect();
        for image in values.chunks_exact_mut((channels * plane).max(1)) {
            let runs = image.chunks_mut(self.size * plane);
            runs.zip(&mut blocks).for_each(|(run, block)| block.push(run));
        }
        blocks
    }
}
