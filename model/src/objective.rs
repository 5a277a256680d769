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

/// The std of `z / |z|` over the batch (of the population, not of a sample), averaged over channels: figure 2 of the
/// paper.
///
/// Near `1 / sqrt(DIM)` when outputs spread evenly over the sphere, near 0 when they collapse.
pub fn normalised_std<D: Backend, const DIM: usize>(z: &Features<D, DIM>) -> f32 {
    let z = z.as_vec();
    let batch = (z.len() / DIM) as f64;
    let mut sums = vec![(0.0, 0.0); DIM];
    for row in z.chunks(DIM) {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt().max(1e-12);
        for ((sum, squares), value) in sums.iter_mut().zip(row) {
            let value = f64::from(*value) / norm;
            *sum += value;
            *squares += value * value;
        }
    }
    let std = |(sum, squares): &(f64, f64)| (squares / batch - (sum / batch).powi(2)).max(0.0).sqrt();
    (sums.iter().map(std).sum::<f64>() / DIM as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_outputs_have_no_spread_and_axes_have_the_spheres() {
        let dev = Cpu::default();
        let same: Features<Cpu, 4> = dev.ones_like(&(8, Const));
        assert_eq!(normalised_std(&same), 0.0);
        // The 2 DIM half-axes: mean 0 and mean square 1 / DIM in every channel, whatever the vectors' lengths.
        let axes: Vec<f32> =
            (0..8).flat_map(|i| (0..4).map(move |c| half_axis(i, c) * (i + 1) as f32)).collect();
        let axes: Features<Cpu, 4> = dev.tensor_from_vec(axes, (8, Const));
        assert!((normalised_std(&axes) - 0.5).abs() < 1e-6);
    }

    fn half_axis(i: usize, channel: usize) -> f32 {
        if i / 2 != channel { 0.0 } else { 1.0 - 2.0 * (i % 2) as f32 }
    }
}
