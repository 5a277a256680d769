use dfdx::prelude::*;
use rayon::prelude::*;

use super::profile::{Work, record};
use super::tensor_view::values_mut;
use super::vectorized;
use crate::backend::{LarsKernel, LarsStep};

/// Values of a part.
const CHUNK: usize = 1 << 14;

impl LarsKernel for Cpu {
    fn lars_update<S: Shape>(
        &self,
        step: &LarsStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let n = p.shape().num_elements();
        g.resize(n, 0.0);
        let (p, v) = (values_mut(p), values_mut(v));
        let work = Work { flops: 12.0 * n as f64, values: 7 * n };
        record(
            "lars",
            || format!("{n}"),
            work,
            || {
                let (parameter, gradient) = squares(step.weight_decay, p, g);
                update(step, step.ratio(parameter, gradient), p, v, g);
            },
        );
        g.clear();
        Ok(())
    }
}

/// The squared norms of the parameter, and of the gradient with its penalty: sums of parts, in their order.
fn squares(weight_decay: f32, p: &[f32], g: &[f32]) -> (f64, f64) {
    let parts = p.par_chunks(CHUNK).zip(g.par_chunks(CHUNK)).map(|(p, g)| {
        vectorized(
            #[inline(always)]
            || squares_of_part(weight_decay, p, g),
        )
    });
    let parts: Vec<(f64, f64)> = parts.collect();
    parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
}

/// With a sum for each lane, so that the order is the same however wide the vectors are.
#[inline(always)]
fn squares_of_part(weight_decay: f32, p: &[f32], g: &[f32]) -> (f64, f64) {
    const LANES: usize = 16;
    let (mut of_p, mut of_g) = ([0.0f64; LANES], [0.0f64; LANES]);
    for (p, g) in p.chunks(LANES).zip(g.chunks(LANES)) {
        for (((p, g), of_p), of_g) in p.iter().zip(g).zip(&mut of_p).zip(&mut of_g) {
            let (p, g) = (f64::from(*p), f64::from(g + weight_decay * p));
            *of_p += p * p;
            *of_g += g * g;
        }
    }
    (of_p.iter().sum(), of_g.iter().sum())
}

/// Without type parameters, so that it is compiled once, in this crate.
fn update(step: &LarsStep, ratio: f32, p: &mut [f32], v: &mut [f32], g: &[f32]) {
    let LarsStep { learning_rate, momentum, weight_decay, .. } = *step;
    let chunks = p.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)).zip(g.par_chunks(CHUNK));
    chunks.for_each(|((p, v), g)| {
        vectorized(
            #[inline(always)]
            || {
                for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
                    *v = momentum * *v + ratio * (g + weight_decay * *p);
                    *p -= learning_rate * *v;
                }
            },
        );
    });
}
