//! What SimSiam minimises, and how its collapse is noticed.

use dfdx::prelude::*;

use crate::backend::{Backend, computed, take_gradient};
use crate::simsiam::View;
use crate::tensors::{Features, Taped};

/// The loss as a scalar with the tape of everything before it.
pub type Loss<D> = Tensor<Rank0, f32, D, Taped<D>>;

/// Whether the gradient flows into the target `z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetGradient {
    /// It is stopped: SimSiam.
    Stopped,
    /// It flows: the ablation that collapses.
    Flows,
}

/// `L = D(p1, z2) / 2 + D(p2, z1) / 2`, equations 2 and 4 of the paper; its minimum is -1.
pub fn symmetric_loss<D: Backend, const DIM: usize>(
    view1: View<D, DIM>,
    view2: View<D, DIM>,
    target_gradient: TargetGradient,
) -> Loss<D> {
    let first = negative_cosine(view1.p, view2.z, target_gradient);
    let second = negative_cosine(view2.p, view1.z, target_gradient);
    (first + second) * 0.5
}

/// `D(p, z) = -mean over the batch of p . z / (|p| |z|)`, equation 1 of the paper.
pub fn negative_cosine<D: Backend, const DIM: usize>(
    p: Features<D, DIM, Taped<D>>,
    z: Features<D, DIM>,
    target_gradient: TargetGradient,
) -> Loss<D> {
    let (p, mut tape) = p.split_tape();
    let loss = computed(p.device().negative_cosine(&p, &z));

    let loss_ghost = loss.ghost();
    tape.add_backward_op(move |grads| {
        let dev = p.device();
        let grad = take_gradient(grads.get_or_alloc_mut(&loss_ghost)?, dev)?;
        dev.negative_cosine_backward(&p, &z, &grad, grads.get_or_alloc_mut(&p)?)?;
        match target_gradient {
            TargetGradient::Stopped => Ok(()),
            TargetGradient::Flows => dev.negative_cosine_backward(&z, &p, &grad, grads.get_or_alloc_mut(&z)?),
        }
    });
    loss.put_tape(tape)
}

/// How a batch's outputs spread over the sphere: what tells learning from collapse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The std of `z / |z|` over the batch (of the population, not of a sample), averaged over channels: figure 2 of the
    /// paper. Near `1 / sqrt(DIM)` when outputs spread evenly, near 0 when all are the same.
    pub std: f64,
    /// The number of directions that `z / |z|` takes: the participation ratio of the eigenvalues of its second moments,
    /// `(sum of l)^2 / sum of l^2`, over the first [`RANKED`](Self::RANKED) outputs of the batch, so at most that many.
    ///
    /// It is 1 when all outputs lie on one line through 0. Batch norm keeps them from all being the same, since their mean
    /// is 0: a network that collapses behind it sends nearly all images to one point and the few others opposite, and the
    /// std stays above 0.
    pub effective_rank: f64,
}

impl Spread {
    /// Outputs whose directions are counted.
    pub const RANKED: usize = 64;

    /// Of the outputs `z`, at least one.
    pub fn of<D: Backend, const DIM: usize>(z: &Features<D, DIM>) -> Self {
        let mut rows = z.as_vec();
        let batch = rows.len() / DIM;
        let mut sums = vec![(0.0, 0.0); DIM];
        for row in rows.chunks_mut(DIM) {
            let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(1e-12);
            for ((sum, squares), value) in sums.iter_mut().zip(row) {
                let unit = f64::from(*value) / norm;
                *sum += unit;
                *squares += unit * unit;
                *value = unit as f32;
            }
        }
        let variance = |(sum, squares): &(f64, f64)| {
            let mean = sum / batch as f64;
            (squares / batch as f64 - mean * mean).max(0.0)
        };
        Self {
            std: sums.iter().map(|sums| variance(sums).sqrt()).sum::<f64>() / DIM as f64,
            effective_rank: participation_ratio(&rows[..batch.min(Self::RANKED) * DIM], DIM),
        }
    }
}

/// Of the second moments of unit rows. Their trace is 1, and the sum of their squared eigenvalues is that of the squared
/// products of all pairs of rows, over the number of pairs.
fn participation_ratio(rows: &[f32], dim: usize) -> f64 {
    const LANES: usize = 16;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let mut sums = [0.0f32; LANES];
        for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        sums.iter().map(|&sum| f64::from(sum)).sum()
    };
    let rows: Vec<&[f32]> = rows.chunks(dim).collect();
    let mut squares = 0.0;
    for (i, a) in rows.iter().enumerate() {
        squares += dot(a, a).powi(2);
        squares += rows[..i].iter().map(|b| 2.0 * dot(a, b).powi(2)).sum::<f64>();
    }
    (rows.len() * rows.len()) as f64 / squares.max(f64::MIN_POSITIVE)
}

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
        assert_eq!(spread::<4>(vec![1.0; 32]), Spread { std: 0.0, effective_rank: 1.0 });
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

    fn half_axis(i: usize, channel: usize) -> f32 {
        if i / 2 != channel { 0.0 } else { 1.0 - 2.0 * (i % 2) as f32 }
    }
}
