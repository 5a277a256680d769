use dfdx::prelude::*;

use super::{Loss, again, gram};
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// Weights of the terms of [`vicreg`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VicRegWeights {
    /// Of the squared distance of the two views.
    pub invariance: f32,
    /// Of the amount by which a channel's standard deviation is below 1.
    pub variance: f32,
    /// Of the squares of the covariances.
    pub covariance: f32,
}

/// VICReg (Bardes et al. 2022, equations 1 to 6), with the means of the authors' code:
///
/// `L = invariance mean (z1 - z2)^2 + variance (v(z1) + v(z2)) / 2 + covariance (c(z1) + c(z2))`, where
/// `v(z) = mean over channels of max(0, 1 - sqrt(Var z + 1e-4))` and
/// `c(z) = sum over i, j != i of Cov(z)_ij^2 / DIM`, with the unbiased variance and covariance of a batch of at least 2.
pub fn vicreg<const DIM: usize, D: Backend>(
    z1: Features<D, DIM, Taped<D>>,
    z2: Features<D, DIM, Taped<D>>,
    weights: VicRegWeights,
) -> Loss<D> {
    let (z1, tape1) = z1.split_tape();
    let (z2, tape2) = z2.split_tape();
    let distance: Loss<D> = (again(&z1) - again(&z2)).square().mean();
    let (variance1, covariance1) = spread(&z1);
    let (variance2, covariance2) = spread(&z2);
    let loss = distance * weights.invariance
        + (variance1 + variance2) * (0.5 * weights.variance)
        + (covariance1 + covariance2) * weights.covariance;
    let (loss, last) = loss.split_tape();
    loss.put_tape(last.merge(tape1).merge(tape2))
}

/// `v(z)` and `c(z)`.
fn spread<const DIM: usize, D: Backend>(z: &Features<D, DIM>) -> (Loss<D>, Loss<D>) {
    /// Keeps the gradient of a deviation of 0 from being no number.
    const EPSILON: f32 = 1e-4;
    let shape = *z.shape();
    let others = shape.0 as f32 - 1.0;
    let mean = again(z).mean::<Rank1<DIM>, Axis<0>>();
    let (centred, tape) = (again(z) - mean.broadcast_like(&shape)).split_tape();
    let variances = || again(&centred).square().sum::<Rank1<DIM>, Axis<0>>() * (1.0 / others);
    let lacking: Loss<D> = ((variances() + EPSILON).sqrt() * -1.0 + 1.0).relu().mean();
    // The sum of all squares of the covariance, as in Barlow Twins, without its diagonal.
    let (products, own) = gram(&centred).split_tape();
    let all: Loss<D> = products.put_tape(own).square().sum() * (1.0 / (others * others));
    let diagonal: Loss<D> = variances().square().sum();
    let covariance = (all - diagonal) * (1.0 / DIM as f32);
    // What leads to the centred projections is put behind one of the two, and so is walked back once, after both.
    let (lacking, last) = lacking.split_tape();
    (lacking.put_tape(last.merge(tape)), covariance)
}
