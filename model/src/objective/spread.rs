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

impl Spread {
    /// The spread of the outputs `z`, at least one.
    pub fn of<D: Backend, const DIM: usize, T: Tape<f32, D>>(z: &Features<D, DIM, T>) -> Self {
        let z = unit(z.retaped::<NoneTape>());
        let shape = *z.shape();
        let batch = shape.0 as f64;
        let centred = z.clone() - z.mean::<Rank1<DIM>, Axis<0>>().broadcast_like(&shape);
        let variances = centred.clone().square().mean::<Rank1<DIM>, Axis<0>>().as_vec();
        let mut products = vec![0.0; shape.0 * shape.0];
        for channels in ranges(DIM) {
            let part = centred.clone().slice((.., channels));
            let part = part.clone().matmul(part.permute::<_, Axes2<1, 0>>()).as_vec();
            products.iter_mut().zip(part).for_each(|(sum, product)| *sum += f64::from(product));
        }
        let trace: f64 = variances.iter().map(|variance| f64::from(*variance)).sum();
        let squares: f64 = products.iter().map(|product| product.powi(2)).sum();
        Self {
            std: variances.iter().map(|variance| f64::from(*variance).sqrt()).sum::<f64>() / DIM as f64,
            effective_rank: if trace < NO_VARIANCE {
                1.0
            } else {
                // The matrix of products has the covariance's eigenvalues, times the batch.
                (trace * batch).powi(2) / squares
            },
        }
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
        Spread::of(&z)
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

    fn half_axis(i: usize, channel: usize) -> f32 {
        if i / 2 != channel { 0.0 } else { 1.0 - 2.0 * (i % 2) as f32 }
    }
}
