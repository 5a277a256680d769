//! Batch norm of images: a channel is one plane of each image. Planes are read in memory order, twice: for the
//! statistics and for the results. That is faster than keeping a channel's planes, which are far apart, in a core's
//! cache.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::sums::sums;
use super::{
    Backward, Extents, Forward, GradientSums, GradientTerms, Mask, Moments, Terms, add_up, at_least, passed,
};
use crate::backend::cpu::vectorized;

/// Parts of the work, if there are as many planes.
const PARTS: usize = 16;

/// Normalises every channel, and returns its moments.
pub(super) fn normalize(
    layout: Extents,
    op: &Forward<'_>,
    given: Option<&[Moments]>,
    y: &mut [MaybeUninit<f32>],
) -> Vec<Moments> {
    let moments = given.map_or_else(|| moments(layout, op.x), <[_]>::to_vec);
    let terms: Vec<Terms> = moments.iter().enumerate().map(|(c, moments)| op.terms(c, moments)).collect();
    y.par_chunks_mut(layout.part()).enumerate().for_each(|(part, y)| {
        vectorized(
            #[inline(always)]
            || {
                let planes = y.chunks_exact_mut(layout.plane);
                for (y, Plane { channel, values }) in planes.zip(layout.planes(part)) {
                    let residual = op.residual.map(|residual| &residual[values.clone()]);
                    normalize_plane(&op.x[values], residual, terms[channel], op.floor, y);
                }
            },
        );
    });
    moments
}

/// Every channel's moments.
pub(super) fn moments(layout: Extents, x: &[f32]) -> Vec<Moments> {
    // Differences from one of the values keep their digits where the mean is large.
    let origins: Vec<f32> =
        (0..layout.channels).map(|c| x.get(c * layout.plane).copied().unwrap_or_default()).collect();
    let sums = layout.sum(
        #[inline(always)]
        |Plane { channel, values }| {
            let origin = origins[channel];
            sums(
                [&x[values]],
                #[inline(always)]
                |[x]| [x - origin, (x - origin) * (x - origin)],
            )
        },
    );
    let each = origins.iter().zip(sums);
    let count = layout.count() as f64;
    each.map(|(origin, [sum, squares])| Moments::of_sums(*origin, sum, squares, count)).collect()
}

#[inline(always)]
fn normalize_plane(
    x: &[f32],
    residual: Option<&[f32]>,
    terms: Terms,
    floor: f32,
    y: &mut [MaybeUninit<f32>],
) {
    match residual {
        Some(residual) => {
            for ((y, x), residual) in y.iter_mut().zip(x).zip(residual) {
                *y = MaybeUninit::new(at_least(floor, terms.normalized(*x) + residual));
            }
        }
        None => {
            for (y, x) in y.iter_mut().zip(x) {
                *y = MaybeUninit::new(at_least(floor, terms.normalized(*x)));
            }
        }
    }
}

/// Turns `dL/dy` into `dL/dx`, and adds to the residual's gradient.
pub(super) fn differentiate(
    layout: Extents,
    op: &Backward<'_>,
    terms: &[GradientTerms],
    grad: &mut [f32],
    residual: Option<&mut [f32]>,
) {
    let residual: Vec<Option<&mut [f32]>> = match residual {
        Some(residual) => residual.chunks_mut(layout.part()).map(Some).collect(),
        None => grad.chunks(layout.part()).map(|_| None).collect(),
    };
    grad.par_chunks_mut(layout.part()).zip(residual).enumerate().for_each(|(part, (grad, mut residual))| {
        vectorized(
            #[inline(always)]
            || {
                let planes = grad.chunks_exact_mut(layout.plane).zip(layout.planes(part));
                for (i, (grad, Plane { channel, values })) in planes.enumerate() {
                    let to = residual.as_mut().map(|to| &mut to[i * layout.plane..][..layout.plane]);
                    let (x, terms) = (&op.x[values.clone()], terms[channel]);
                    match op.mask {
                        Mask::Open => differentiate_plane(
                            terms,
                            [x, x],
                            to,
                            grad,
                            #[inline(always)]
                            |_| true,
                        ),
                        Mask::Output(y) => differentiate_plane(
                            terms,
                            [x, &y[values]],
                            to,
                            grad,
                            #[inline(always)]
                            |y| y > 0.0,
                        ),
                        Mask::Input => {
                            let forward = op.forward_terms(channel);
                            differentiate_plane(
                                terms,
                                [x, x],
                                to,
                                grad,
                                #[inline(always)]
                                |x| forward.normalized(x) > 0.0,
                            );
                        }
                    }
                }
            },
        );
    });
}

/// Every channel's sums.
pub(super) fn gradient_sums(layout: Extents, op: &Backward<'_>, grad: &[f32]) -> Vec<GradientSums> {
    let sums = layout.sum(
        #[inline(always)]
        |Plane { channel, values }| {
            let (grad, x, mean) = (&grad[values.clone()], &op.x[values.clone()], op.mean[channel]);
            match op.mask {
                Mask::Open => sums(
                    [grad, x],
                    #[inline(always)]
                    |[grad, x]| [grad, grad * (x - mean)],
                ),
                Mask::Output(y) => sums(
                    [grad, x, &y[values]],
                    #[inline(always)]
                    |[grad, x, y]| {
                        let grad = passed(grad, y > 0.0);
                        [grad, grad * (x - mean)]
                    },
                ),
                Mask::Input => {
                    let forward = op.forward_terms(channel);
                    sums(
                        [grad, x],
                        #[inline(always)]
                        |[grad, x]| {
                            let grad = passed(grad, forward.normalized(x) > 0.0);
                            [grad, grad * (x - mean)]
                        },
                    )
                }
            }
        },
    );
    sums.into_iter().map(|[plain, centred]| GradientSums { plain, centred }).collect()
}

/// `x`, and what `is_open` asks whether the activation let a gradient through.
#[inline(always)]
fn differentiate_plane(
    terms: GradientTerms,
    [x, mask]: [&[f32]; 2],
    residual: Option<&mut [f32]>,
    grad: &mut [f32],
    is_open: impl Fn(f32) -> bool,
) {
    match residual {
        Some(residual) => {
            for ((grad, to), (x, mask)) in grad.iter_mut().zip(residual).zip(x.iter().zip(mask)) {
                let passed = passed(*grad, is_open(*mask));
                *to += passed;
                *grad = terms.input_gradient(passed, *x);
            }
        }
        None => {
            for (grad, (x, mask)) in grad.iter_mut().zip(x.iter().zip(mask)) {
                *grad = terms.input_gradient(passed(*grad, is_open(*mask)), *x);
            }
        }
    }
}

/// One channel of one image.
struct Plane {
    channel: usize,
    /// Where its values are.
    values: std::ops::Range<usize>,
}

impl Extents {
    /// Values of one part of the work: some whole planes.
    fn part(&self) -> usize {
        (self.batch * self.channels).div_ceil(PARTS).max(1) * self.plane
    }

    /// The planes of a part.
    #[inline(always)]
    fn planes(self, part: usize) -> impl Iterator<Item = Plane> {
        let planes = self.part() / self.plane;
        let end = ((part + 1) * planes).min(self.batch * self.channels);
        (part * planes..end).map(move |plane| Plane {
            channel: plane % self.channels,
            values: plane * self.plane..(plane + 1) * self.plane,
        })
    }

    /// Adds up what a function gives for each plane of a channel.
    #[inline(always)]
    fn sum(self, of_plane: impl Fn(Plane) -> [f64; 2] + Sync) -> Vec<[f64; 2]> {
        let parts = (0..(self.batch * self.channels * self.plane).div_ceil(self.part())).into_par_iter();
        let parts: Vec<Vec<[f64; 2]>> = parts
            .map(|part| {
                let mut totals = vec![[0.0; 2]; self.channels];
                vectorized(
                    #[inline(always)]
                    || {
                        for plane in self.planes(part) {
                            let total = &mut totals[plane.channel];
                            let [first, second] = of_plane(plane);
                            *total = [total[0] + first, total[1] + second];
                        }
                    },
                );
                totals
            })
            .collect();
        add_up(self.channels, &parts)
    }
}
