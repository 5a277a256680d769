use dfdx::prelude::*;

use super::{Loss, again, gram};
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// Barlow Twins (Zbontar et al. 2021, equation 1) of projections whose channels have mean 0 and variance 1 over the batch:
///
/// `L = sum over i of (1 - C_ii)^2 + lambda sum over i, j != i of C_ij^2`, with `C = z1^T z2 / batch`.
///
/// The sum of all squares of `C` is that of the products of the batch's two matrices of inner products, `(z1 z1^T)_ij
/// (z2 z2^T)_ij`: `batch^2 DIM` multiplications instead of `batch DIM^2`.
pub fn barlow_twins<const DIM: usize, D: Backend>(
    z1: Features<D, DIM, Taped<D>>,
    z2: Features<D, DIM, Taped<D>>,
    lambda: f32,
) -> Loss<D> {
    let (z1, tape1) = z1.split_tape();
    let (z2, tape2) = z2.split_tape();
    let batch = z1.shape().0 as f32;
    let (own, tape) = ((again(&z1) * again(&z2)).sum::<Rank1<DIM>, Axis<0>>() * (1.0 / batch)).split_tape();
    let own = || own.clone().put_tape(Taped::<D>::default());
    let all: Loss<D> = (gram(&z1) * gram(&z2)).sum() * (1.0 / (batch * batch));
    let of_channel: Loss<D> = (own() - 1.0).square().sum();
    let squares: Loss<D> = own().square().sum();
    let (loss, last) = (of_channel + (all - squares) * lambda).split_tape();
    loss.put_tape(last.merge(tape).merge(tape1).merge(tape2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 3;
    /// More channels than are summed in one go.
    const DIM: usize = 1100;
    const LAMBDA: f64 = 0.5;

    fn values(seed: usize) -> Vec<f32> {
        (0..BATCH * DIM).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    /// The definition, in f64.
    fn plain(a: &[f64], b: &[f64]) -> f64 {
        let correlation = |i: usize, j: usize| -> f64 {
            (0..BATCH).map(|n| a[n * DIM + i] * b[n * DIM + j]).sum::<f64>() / BATCH as f64
        };
        let row = |i: usize| -> f64 {
            let others = (0..DIM).filter(|j| *j != i).map(|j| correlation(i, j).powi(2)).sum::<f64>();
            (1.0 - correlation(i, i)).powi(2) + LAMBDA * others
        };
        (0..DIM).map(row).sum()
    }

    #[test]
    fn the_loss_of_many_channels_and_its_gradient_are_the_definitions() {
        let (a, b) = (values(1), values(2));
        let dev = Cpu::default();
        let [z1, z2] =
            [&a, &b].map(|z| -> Features<Cpu, DIM> { dev.tensor_from_vec(z.clone(), (BATCH, Const)) });
        let loss = barlow_twins(z1.leaky_trace(), z2.leaky_trace(), LAMBDA as f32);
        let wide = |z: &[f32]| z.iter().map(|z| f64::from(*z)).collect::<Vec<_>>();
        let (a, b) = (wide(&a), wide(&b));
        let expected = plain(&a, &b);
        assert!((f64::from(loss.array()) / expected - 1.0).abs() < 1e-5, "{} {expected}", loss.array());

        let found = loss.backward().get(&z1).as_vec();
        for at in [0, 511, 512, 1099, 1100 + 600, 2200 + 1024] {
            let moved = |step: f64| {
                let mut a = a.clone();
                a[at] += step;
                plain(&a, &b)
            };
            let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!(
                (f64::from(found[at]) - slope).abs() < 1e-4 * slope.abs().max(1.0),
                "{at}: {} {slope}",
                found[at]
            );
        }
    }
}
