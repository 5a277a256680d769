//! Batch norm of images: a channel is one plane of each image.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Backward, Forward, GradientSums, GradientTerms, Layout, Moments, Source, Terms};
use crate::backend::cpu::vectorized;

/// Normalises every channel, and returns its moments.
pub(super) fn normalize(layout: Layout, op: &Forward<'_>, source: Source<'_>, y: &mut [MaybeUninit<f32>]) -> Vec<Moments> {
    let channels = planes(layout, y).into_par_iter().enumerate();
    channels
        .map(|(c, planes)| {
            vectorized(
                #[inline(always)]
                || {
                    let moments = match source {
                        Source::Batch => moments(layout, c, op.x),
                        Source::Given(moments) => moments[c],
                    };
                    let terms = op.terms(c, &moments);
                    for (image, y) in planes.into_iter().enumerate() {
                        let at = layout.plane_at(image, c);
                        let residual = op.residual.map(|residual| &residual[at..][..layout.plane]);
                        normalize_plane(&op.x[at..][..layout.plane], residual, terms, op.floor, y);
                    }
                    moments
                },
            )
        })
        .collect()
}

#[inline(always)]
fn normalize_plane(x: &[f32], residual: Option<&[f32]>, terms: Terms, floor: f32, y: &mut [MaybeUninit<f32>]) {
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
    let residual = match residual {
        Some(residual) => planes(layout, residual).into_iter().map(Some).collect(),
        None => Vec::from_iter((0..layout.channels).map(|_| None)),
    };
    let channels = planes(layout, grad).into_par_iter().zip(residual).enumerate();
    channels
        .map(|(c, (mut planes, residual))| {
            vectorized(
                #[inline(always)]
                || {
                    let plane = |image: usize| layout.plane_at(image, c)..layout.plane_at(image, c) + layout.plane;
                    let mean = op.mean[c];
                    let mut sums = Sums::default();
                    let mut residual = residual.into_iter().flatten();
                    for (image, grad) in planes.iter_mut().enumerate() {
                        let at = plane(image);
                        if let Some(y) = op.y {
                            mask(&y[at.clone()], grad);
                        }
                        if let Some(to) = residual.next() {
                            to.iter_mut().zip(grad.iter()).for_each(|(to, grad)| *to += grad);
                        }
                        sums.add(grad, &op.x[at], #[inline(always)] |grad, x| [grad, grad * (x - mean)]);
                    }
                    let [plain, centred] = sums.total();
                    let sums = GradientSums { plain, centred };
                    let GradientTerms { mean, factor, slope, offset } = op.terms(c, &sums);
                    for (image, grad) in planes.iter_mut().enumerate() {
                        for (grad, x) in grad.iter_mut().zip(&op.x[plane(image)]) {
                            *grad = factor * *grad + slope * (x - mean) + offset;
                        }
                    }
                    sums
                },
            )
        })
        .collect()
}

/// Clears the gradient where the output of a ReLU is 0.
#[inline(always)]
fn mask(y: &[f32], grad: &mut [f32]) {
    grad.iter_mut().zip(y).for_each(|(grad, y)| *grad = if *y > 0.0 { *grad } else { 0.0 });
}

/// The planes of each channel.
fn planes<T>(layout: Layout, values: &mut [T]) -> Vec<Vec<&mut [T]>> {
    let mut channels: Vec<Vec<&mut [T]>> =
        (0..layout.channels).map(|_| Vec::with_capacity(layout.batch)).collect();
    for (i, plane) in values.chunks_exact_mut(layout.plane).enumerate() {
        channels[i % layout.channels].push(plane);
    }
    channels
}

#[inline(always)]
fn moments(layout: Layout, c: usize, x: &[f32]) -> Moments {
    // Differences from one of the values keep their digits where the mean is large.
    let origin = x.get(layout.plane_at(0, c)).copied().unwrap_or_default();
    let mut sums = Sums::default();
    for image in 0..layout.batch {
        let plane = &x[layout.plane_at(image, c)..][..layout.plane];
        sums.add(
            plane,
            plane,
            #[inline(always)]
            |x, _| [x - origin, (x - origin) * (x - origin)],
        );
    }
    let [sum, squares] = sums.total();
    Moments::of_sums(origin, sum, squares, layout.count() as f64)
}

impl Layout {
    fn plane_at(&self, image: usize, c: usize) -> usize {
        (image * self.channels + c) * self.plane
    }
}

/// Independent sums, so that additions overlap.
const LANES: usize = 32;
/// Values that each lane adds up in f32 before the sum goes on in f64.
const RUN: usize = 32;

/// Two sums over the same pairs of values.
#[derive(Default)]
struct Sums {
    totals: [f64; 2],
}

impl Sums {
    /// Adds `f` of every pair.
    #[inline(always)]
    fn add(&mut self, a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> [f32; 2]) {
        for (a, b) in a.chunks(LANES * RUN).zip(b.chunks(LANES * RUN)) {
            let (mut first, mut second) = ([0.0f32; LANES], [0.0f32; LANES]);
            let (a_lanes, a_rest) = a.as_chunks::<LANES>();
            let (b_lanes, b_rest) = b.as_chunks::<LANES>();
            for (a, b) in a_lanes.iter().zip(b_lanes) {
                for lane in 0..LANES {
                    let [x, y] = f(a[lane], b[lane]);
                    first[lane] += x;
                    second[lane] += y;
                }
            }
            for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
                let [x, y] = f(*a, *b);
                first[lane] += x;
                second[lane] += y;
            }
            self.totals[0] += pairwise(first);
            self.totals[1] += pairwise(second);
        }
    }

    fn total(&self) -> [f64; 2] {
        self.totals
    }
}

/// The sum of the lanes, half onto half.
#[inline(always)]
fn pairwise(lanes: [f32; LANES]) -> f64 {
    let mut sums = [0.0f64; LANES / 4];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = f64::from(lanes[i] + lanes[i + LANES / 2])
            + f64::from(lanes[i + LANES / 4] + lanes[i + 3 * LANES / 4]);
    }
    sums.iter().sum()
}
