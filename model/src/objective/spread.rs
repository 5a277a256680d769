use dfdx::prelude::*;

use super::{ranges, unit};
use crate::backend::Backend;
use crate::tensors::Features;

/// The spread of a batch's outputs over the sphere, which distinguishes learning from collapse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The std of `z / |z|` over the batch (of the population, not of a sample), averaged over channels: figure 2 of the
    /// paper. Near `1 / sqrt(DIM)` when outputs spread evenly, near 0 when all are the same.
    pub std: f64,
    /// The number of directions in which `z / |z|` varies: the participation ratio of the eigenvalues of its covariance
    /// over the batch, `(sum of l)^2 / sum of l^2`, from 1 to the smaller of `batch - 1` and `DIM`.
    ///
    /// It is 1 when all outputs lie on one line. After batch norm their mean is 0, so they cannot all be equal: a
    /// collapsed network maps nearly all images to one point and a few to the opposite point, and the std stays above
    /// 0.
    pub effective_rank: f64,
}

/// What a [`Spread`] is computed from, as scalars on the device.
pub struct SpreadSums<D: Backend> {
    /// Mean over channels of the std over the batch.
    std: Tensor<Rank0, f32, D>,
    /// Sum over channels of the variance over the batch: the sum of the covariance's eigenvalues.
    trace: Tensor<Rank0, f32, D>,
    /// Sum of the squared inner products of the centred outputs: that of its squared eigenvalues, times `batch^2`.
    squares: Tensor<Rank0, f32, D>,
    batch: usize,
}

impl<D: Backend> SpreadSums<D> {
    /// Of the outputs `z`, at least one.
    pub fn of<const DIM: usize, T: Tape<f32, D>>(z: &Features<D, DIM, T>) -> Self {
        let z = unit(z.retaped::<NoneTape>());
        let shape = *z.shape();
        let centred = z.clone() - z.mean::<Rank1<DIM>, Axis<0>>().broadcast_like(&shape);
        let variances = centred.clone().square().mean::<Rank1<DIM>, Axis<0>>();
        let products = |channels| {
            let part = centred.clone().slice((.., channels));
            part.clone().matmul(part.permute::<_, Axes2<1, 0>>())
        };
        let products = ranges(DIM).map(products).reduce(|a, b| a + b).expect("there is a channel");
        // Row by row: a sum of so many values in one go would lose digits.
        let squares = products.square().sum::<(usize,), Axis<1>>().sum();
        Self { std: variances.clone().sqrt().mean(), trace: variances.sum(), squares, batch: shape.0 }
    }

    /// Its scalars.
    pub(crate) fn scalars(&self) -> [&Tensor<Rank0, f32, D>; 3] {
        [&self.std, &self.trace, &self.squares]
    }

    /// The spread, given the values of [`scalars`](Self::scalars).
    pub(crate) fn spread(&self, [std, trace, squares]: [f64; 3]) -> Spread {
        let effective_rank =
            if trace < NO_VARIANCE { 1.0 } else { (trace * self.batch as f64).powi(2) / squares };
        Spread { std, effective_rank }
    }
}

/// Under this sum of variances, unit vectors in single precision are the same.
const NO_VARIANCE: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn spread<const DIM: usize>(rows: Vec<f32>) -> Spread {
        let batch = rows.len() / DIM;
        let z: Features<Cpu, DIM> = Cpu::default().tensor_from_vec(rows, (batch, Const));
        let sums = SpreadSums::of(&z);
        sums.spread(sums.scalars().map(|scalar| f64::from(scalar.array())))
    }

    #[test]
    fn equal_outputs_have_no_spread_and_axes_have_the_spheres() {
        let equal = spread::<4>(vec![1.0; 32]);
        assert!(equal.std < 1e-6 && equal.effective_rank == 1.0, "{equal:?}");
        // The 2 DIM half-axes: mean 0 and mean square 1 / DIM in every channel, whatever the vectors' lengths.
        let axes = (0..8).flat_map(|i| (0..4).map(move |c| half_axis(i, c) * (i + 1) as f32)).collect();
        let Spread { std, effective_rank } = spread::<4>(axes);
        assert!((std - 0.5).abs() < 1e-6, "{std}");
        assert!((effective_rank - 4.0).abs() < 1e-5, "{effective_rank}");
    }

    #[test]
    fn opposite_points_spread_but_have_one_direction() {
        let points = (0..6).flat_map(|i| [if i % 2 == 0 { 3.0 } else { -0.5 }; 4]).collect();
        let Spread { std, effective_rank } = spread::<4>(points);
        assert!((std - 0.5).abs() < 1e-6 && (effective_rank - 1.0).abs() < 1e-6, "{std} {effective_rank}");
    }

    #[test]
    fn one_opposite_point_among_many_is_one_direction() {
        let noise = |i: usize| 1.0 + 0.02 * (i as f32 * 1.7).sin();
        let points = (0..128 * 4).map(|i| if i < 4 { -noise(i) } else { noise(i) }).collect();
        let Spread { std, effective_rank } = spread::<4>(points);
        assert!(std > 0.05 && effective_rank < 1.1, "{std} {effective_rank}");
    }

    #[test]
    fn a_common_mean_is_no_direction() {
        let axes = (0..8).flat_map(|i| (0..4).map(move |c| 0.2 * half_axis(i, c) + 1.0)).collect();
        let Spread { effective_rank, .. } = spread::<4>(axes);
        assert!(effective_rank > 2.9, "{effective_rank}");
    }

    #[test]
    fn large_batches_lose_no_digits() {
        const DIM: usize = 1100;
        // Channels of different strength.
        let value = |i: usize| ((i * 7919) % 1009) as f32 / 504.5 * (1.0 / (1 + i % DIM % 40) as f32) + 0.3;
        let rows: Vec<f32> = (0..256 * DIM).map(value).collect();
        let (std, effective_rank) = plain(&rows, DIM);
        let found = spread::<DIM>(rows);
        assert!((found.std / std - 1.0).abs() < 1e-5, "{} {std}", found.std);
        assert!(
            (found.effective_rank / effective_rank - 1.0).abs() < 1e-5,
            "{} {effective_rank}",
            found.effective_rank
        );
    }

    /// The definition, in f64.
    fn plain(rows: &[f32], dim: usize) -> (f64, f64) {
        let mut rows: Vec<Vec<f64>> =
            rows.chunks(dim).map(|row| row.iter().map(|value| f64::from(*value)).collect()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for row in &mut rows {
            let norm = dot(row, row).sqrt();
            row.iter_mut().for_each(|value| *value /= norm);
        }
        let batch = rows.len() as f64;
        let mean: Vec<f64> = (0..dim).map(|c| rows.iter().map(|row| row[c]).sum::<f64>() / batch).collect();
        for row in &mut rows {
            row.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
        let variance = |c: usize| rows.iter().map(|row| row[c].powi(2)).sum::<f64>() / batch;
        let std = (0..dim).map(|c| variance(c).sqrt()).sum::<f64>() / dim as f64;
        let trace: f64 = (0..dim).map(variance).sum();
        let squares: f64 = rows.iter().flat_map(|a| rows.iter().map(|b| dot(a, b).powi(2))).sum();
        (std, (trace * batch).powi(2) / squares)
    }

    fn half_axis(i: usize, channel: usize) -> f32 {
        if i / 2 != channel { 0.0 } else { 1.0 - 2.0 * (i % 2) as f32 }
    }
}
