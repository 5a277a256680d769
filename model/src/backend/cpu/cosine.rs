use dfdx::prelude::*;
use rayon::prelude::*;

use super::profile::{Work, record};
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
        let rows = values(p).par_chunks(C).zip(values(z).par_chunks(C));
        let cosines: Vec<f64> = record("cosine", shape::<C>(batch), work::<C>(batch), || {
            rows.map(|(p, z)| dot(p, z) / (norm(p) * norm(z))).collect()
        });
        self.try_tensor(-(cosines.iter().sum::<f64>() / batch as f64) as f32)
    }

    fn negative_cosine_backward<const C: usize>(
        &self,
        p: &Tensor<(usize, Const<C>), f32, Self>,
        z: &Tensor<(usize, Const<C>), f32, Self>,
        grad_output: &Self::Vec,
        grad_p: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let batch = p.shape().0;
        let factor = -f64::from(grad_output[0]) / batch as f64;
        let rows = values(p).par_chunks(C).zip(values(z).par_chunks(C));
        record("cosine gradient", shape::<C>(batch), work::<C>(batch), || {
            grad_p.par_chunks_mut(C).zip(rows).for_each(|(grad, (p, z))| {
                // d cos / dp = z / (|p| |z|) - cos p / |p|^2; a clamped norm is a constant, so it has no second term.
                let (p_norm, z_norm) = (norm(p), norm(z));
                let towards = factor / (p_norm * z_norm);
                let along = if p_norm > MIN_NORM { towards * dot(p, z) / (p_norm * p_norm) } else { 0.0 };
                for (grad, (p, z)) in grad.iter_mut().zip(p.iter().zip(z)) {
                    *grad += (towards * f64::from(*z) - along * f64::from(*p)) as f32;
                }
            });
        });
        Ok(())
    }
}

fn shape<const C: usize>(batch: usize) -> impl Fn() -> String {
    move || format!("{batch}x{C}")
}

fn work<const C: usize>(batch: usize) -> Work {
    Work { flops: 6.0 * (batch * C) as f64, values: 2 * batch * C }
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
