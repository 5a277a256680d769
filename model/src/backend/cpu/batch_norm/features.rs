//! Batch norm of features: the channels of a row are contiguous and are processed in blocks.

use std::mem::MaybeUninit;

use bytemuck::Zeroable;
use rayon::prelude::*;

use super::{
    Backward, Extents, Forward, GradientSums, GradientTerms, Mask, Moments, Terms, at_least, passed,
};
use crate::backend::cpu::tensor_view::add;
use crate::backend::cpu::vectorized;

/// Channels of one part of the work.
const BLOCK: usize = 64;

/// Normalises every channel, and returns its moments.
pub(super) fn normalize(
    layout: Extents,
    op: &Forward<'_>,
    given: Option<&[Moments]>,
    y: &mut [MaybeUninit<f32>],
) -> Vec<Moments> {
    let blocks = rows(layout, y).into_par_iter().enumerate();
    let moments = blocks.map(|(block, rows)| {
        vectorized(
            #[inline(always)]
            || {
                let from = block * BLOCK;
                let to = (from + BLOCK).min(layout.channels);
                let moments = match given {
                    Some(moments) => moments[from..to].to_vec(),
                    None => block_moments(layout, from, to, op.x),
                };
                let terms: Vec<Terms> =
                    moments.iter().enumerate().map(|(i, moments)| op.terms(from + i, moments)).collect();
                for (row, y) in rows.into_iter().enumerate() {
                    let at = row * layout.channels + from;
                    match op.residual {
                        Some(residual) => {
                            let inputs = op.x[at..].iter().zip(&residual[at..]);
                            for ((y, (x, residual)), terms) in y.iter_mut().zip(inputs).zip(&terms) {
                                *y = MaybeUninit::new(at_least(op.floor, terms.normalized(*x) + residual));
                            }
                        }
                        None => {
                            for ((y, x), terms) in y.iter_mut().zip(&op.x[at..]).zip(&terms) {
                                *y = MaybeUninit::new(at_least(op.floor, terms.normalized(*x)));
                            }
                        }
                    }
                }
                moments
            },
        )
    });
    moments.collect::<Vec<_>>().concat()
}

/// Every channel's sums. Leaves in place of `dL/dy` what the activation lets through of it.
pub(super) fn gradient_sums(layout: Extents, op: &Backward<'_>, grad: &mut [f32]) -> Vec<GradientSums> {
    let blocks = rows(layout, grad).into_par_iter().enumerate();
    let sums = blocks.map(|(block, mut rows)| {
        vectorized(
            #[inline(always)]
            || {
                let from = block * BLOCK;
                let at = |row: usize| row * layout.channels + from;
                let channels = BLOCK.min(layout.channels - from);
                match op.mask {
                    Mask::Open => {}
                    Mask::Output(y) => {
                        for (row, grad) in rows.iter_mut().enumerate() {
                            for (grad, y) in grad.iter_mut().zip(&y[at(row)..]) {
                                *grad = passed(*grad, *y > 0.0);
                            }
                        }
                    }
                    Mask::Input => {
                        let terms: Vec<Terms> =
                            (from..from + channels).map(|c| op.forward_terms(c)).collect();
                        for (row, grad) in rows.iter_mut().enumerate() {
                            for (grad, (x, terms)) in grad.iter_mut().zip(op.x[at(row)..].iter().zip(&terms))
                            {
                                *grad = passed(*grad, terms.normalized(*x) > 0.0);
                            }
                        }
                    }
                }
                let mut sums = vec![GradientSums::zeroed(); channels];
                for (row, grad) in rows.iter().enumerate() {
                    let inputs = op.x[at(row)..].iter().zip(&op.mean[from..]);
                    for ((sums, grad), (x, mean)) in sums.iter_mut().zip(grad.iter()).zip(inputs) {
                        sums.plain += f64::from(*grad);
                        sums.centred += f64::from(*grad) * f64::from(x - mean);
                    }
                }
                sums
            },
        )
    });
    sums.collect::<Vec<_>>().concat()
}

/// Adds what [`gradient_sums`] left to the residual's gradient, and turns it into `dL/dx`.
pub(super) fn differentiate(
    layout: Extents,
    x: &[f32],
    terms: &[GradientTerms],
    grad: &mut [f32],
    residual: Option<&mut [f32]>,
) {
    if let Some(residual) = residual {
        add(residual, grad);
    }
    rows(layout, grad).into_par_iter().enumerate().for_each(|(block, mut rows)| {
        vectorized(
            #[inline(always)]
            || {
                let from = block * BLOCK;
                for (row, grad) in rows.iter_mut().enumerate() {
                    let inputs = x[row * layout.channels + from..].iter().zip(&terms[from..]);
                    for (grad, (x, terms)) in grad.iter_mut().zip(inputs) {
                        *grad = terms.input_gradient(*grad, *x);
                    }
                }
            },
        );
    });
}

/// For each block of channels, its part of every row.
fn rows<T>(layout: Extents, values: &mut [T]) -> Vec<Vec<&mut [T]>> {
    let blocks = layout.channels.div_ceil(BLOCK);
    let mut parts: Vec<Vec<&mut [T]>> = (0..blocks).map(|_| Vec::with_capacity(layout.batch)).collect();
    for row in values.chunks_exact_mut(layout.channels.max(1)) {
        row.chunks_mut(BLOCK).zip(&mut parts).for_each(|(part, parts)| parts.push(part));
    }
    parts
}

/// Every channel's moments.
pub(super) fn moments(layout: Extents, x: &[f32]) -> Vec<Moments> {
    let blocks = (0..layout.channels.div_ceil(BLOCK)).into_par_iter().map(|block| {
        let from = block * BLOCK;
        vectorized(
            #[inline(always)]
            || block_moments(layout, from, (from + BLOCK).min(layout.channels), x),
        )
    });
    blocks.collect::<Vec<_>>().concat()
}

#[inline(always)]
fn block_moments(layout: Extents, from: usize, to: usize, x: &[f32]) -> Vec<Moments> {
    let origin = x.get(from..to).unwrap_or_default();
    let mut sums = vec![(0.0, 0.0); to - from];
    for row in x.chunks_exact(layout.channels) {
        for ((sum, squares), (x, origin)) in sums.iter_mut().zip(row[from..to].iter().zip(origin)) {
            let difference = f64::from(x - origin);
            *sum += difference;
            *squares += difference * difference;
        }
    }
    let count = layout.count() as f64;
    let each = sums.iter().zip(origin);
    each.map(|((sum, squares), origin)| Moments::of_sums(*origin, *sum, *squares, count)).collect()
}
