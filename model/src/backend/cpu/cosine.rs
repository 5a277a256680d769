use dfdx::prelude::*;

use super::tensor_view::values;
use super::vectorized;
use crate::backend::CosineKernel;

/// The least norm that a vector is divided by, as in PyTorch's `cosine_similarity`.
const MIN_NORM: f64 = 1e-8;

impl CosineKernel for Cpu {
    fn negative_cosine<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
    ) -> Result<Tensor<Rank0, f32, Self>, Self::Err> {
        let batch = p.shape().0;
        let rows = values(p).chunks(C).zip(values(z).chunks(C));
        let sum: f64 = rows.map(|(p, z)| dot(p, z) / (norm(p) * norm(z))).sum();
        self.try_tensor(-(sum / batch as f64) as f32)
    }

    fn negative_cosine_backward<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
        grad_output: &Self::Vec,
        grad_p: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let factor = -f64::from(grad_output[0]) / p.shape().0 as f64;
        let rows = values(p).chunks(C).zip(values(z).chunks(C));
        for (grad, (p, z)) in grad_p.chunks_mut(C).zip(rows) {
            // d cos / dp = z / (|p| |z|) - cos p / |p|^2; a clamped norm is a constant, so it has no second term.
            let (p_norm, z_norm) = (norm(p), norm(z));
            let towards = factor / (p_norm * z_norm);
            let along = if p_norm > MIN_NORM { towards * dot(p, z) / (p_norm * p_norm) } else { 0.0 };
            for (grad, (p, z)) in grad.iter_mut().zip(p.iter().zip(z)) {
                *grad += (towards * f64::from(*z) - along * f64::from(*p)) as f32;
            }
        }
        Ok(())
    }
}

/// `a . b` in f64, as independent sums.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    vectorized(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            let (a_lanes, a_rest) = a.as_chunks::<LANES>();
            let (b_lanes, b_rest) = b.as_chunks::<LANES>();
            for (a, b) in a_lanes.iter().zip(b_lanes) {
                for lane in 0..LANES {
                    sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
                }
            }
            let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            sums.iter().sum::<f64>() + rest
        },
    )
}

fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt().max(MIN_NORM)
}
