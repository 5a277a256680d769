//! Batch norm of images: a channel is one plane of each image.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{Backward, Forward, GradientSums, Layout, Moments, Source, Terms};
use crate::backend::cpu::vectorized;

/// Normalises every channel, and returns its moments.
pub(super) fn normalize(
    layout: Layout,
    op: &Forward<'_>,
    source: Source<'_>,
    y: &mut [MaybeUninit<f32>],
) -> Vec<Moments> {
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
                    let plane = |image: usize| {
                        let at = layout.plane_at(image, c);
                        at..at + layout.plane
                    };
                    let mean = op.mean[c];
                    let mut sums = Sums::new();
                    let mut residual = residual.into_iter().flatten();
                    for (image, grad) in planes.iter().enumerate() {
                        let y = op.y.map(|y| &y[plane(image)]);
                        if let Some(to) = residual.next() {
                            add_passed(to, grad, y);
                        }
                        let x = &op.x[plane(image)];
                        match y {
                            Some(y) => sums.add(
                                [grad, x, y],
                                #[inline(always)]
                                |[grad, x, y]| {
                                    let grad = passed(grad, y);
                                    [grad, grad * (x - mean)]
                                },
                            ),
                            None => {
                                sums.add(
                                    [grad, x],
                                    #[inline(always)]
                                    |[grad, x]| [grad, grad * (x - mean)],
                                );
                            }
                        }
                    }
                    let [plain, centred] = sums.total();
                    let sums = GradientSums { plain, centred };
                    let terms = op.terms(c, &sums);
                    for (image, grad) in planes.iter_mut().enumerate() {
                        let x = &op.x[plane(image)];
                        match op.y {
                            Some(y) => {
                                for ((grad, x), y) in grad.iter_mut().zip(x).zip(&y[plane(image)]) {
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
                    sums
                },
            )
        })
        .collect()
}

/// What a ReLU with the output `y` lets through of its gradient. A store would be a masked one, and slow, if this were
/// the value that is stored.
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
    let mut sums = Sums::new();
    for image in 0..layout.batch {
        let plane = &x[layout.plane_at(image, c)..][..layout.plane];
        sums.add(
            [plane],
            #[inline(always)]
            |[x]| [x - origin, (x - origin) * (x - origin)],
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
/// Values that each lane adds up in f32, at most, before the sum goes on in f64.
const RUN: usize = 33;

/// Two sums over the same places.
struct Sums {
    lanes: [[f32; LANES]; 2],
    /// How many values a lane holds.
    held: usize,
    totals: [f64; 2],
}

impl Sums {
    fn new() -> Self {
        Self { lanes: [[0.0; LANES]; 2], held: 0, totals: [0.0; 2] }
    }

    /// Adds `f` of every place of the slices.
    #[inline(always)]
    fn add<const N: usize>(&mut self, slices: [&[f32]; N], f: impl Fn([f32; N]) -> [f32; 2]) {
        let len = slices[0].len();
        for from in (0..len).step_by(LANES * (RUN - 1)) {
            let slices = slices.map(|slice| &slice[from..len.min(from + LANES * (RUN - 1))]);
            let whole = slices[0].len() / LANES;
            if self.held + whole + 1 > RUN {
                self.flush();
            }
            let [mut first, mut second] = self.lanes;
            let lanes = slices.map(|slice| &slice.as_chunks::<LANES>().0[..whole]);
            for i in 0..whole {
                for lane in 0..LANES {
                    let [x, y] = f(lanes.map(|chunks| chunks[i][lane]));
                    first[lane] += x;
                    second[lane] += y;
                }
            }
            for lane in 0..slices[0].len() % LANES {
                let [x, y] = f(slices.map(|slice| slice[whole * LANES + lane]));
                first[lane] += x;
                second[lane] += y;
            }
            self.lanes = [first, second];
            self.held += whole + 1;
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        for (total, lanes) in self.totals.iter_mut().zip(&mut self.lanes) {
            *total += pairwise(std::mem::replace(lanes, [0.0; LANES]));
        }
        self.held = 0;
    }

    #[inline(always)]
    fn total(mut self) -> [f64; 2] {
        self.flush();
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
