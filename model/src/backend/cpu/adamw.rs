use dfdx::prelude::*;
use rayon::prelude::*;

use super::profile::{Work, record};
use super::tensor_view::values_mut;
use super::vectorized;
use crate::backend::{AdamWKernel, AdamWStep};

impl AdamWKernel for Cpu {
    fn adamw_update<S: Shape>(
        &self,
        step: &AdamWStep,
        p: &mut Tensor<S, f32, Self>,
        m: &mut Tensor<(usize,), f32, Self>,
        s: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let n = p.shape().num_elements();
        g.resize(n, 0.0);
        let (p, m, s) = (values_mut(p), values_mut(m), values_mut(s));
        let work = Work { flops: 13.0 * n as f64, values: 7 * n };
        record("adamw", || format!("{n}"), work, || update(step, p, m, s, g));
        g.clear();
        Ok(())
    }
}

/// Without type parameters, so that it is compiled once, in this crate.
fn update(step: &AdamWStep, p: &mut [f32], m: &mut [f32], s: &mut [f32], g: &[f32]) {
    const CHUNK: usize = 1 << 14;
    let AdamWStep { keep, first, second, rate, root, epsilon } = *step;
    let moments = m.par_chunks_mut(CHUNK).zip(s.par_chunks_mut(CHUNK));
    let chunks = p.par_chunks_mut(CHUNK).zip(moments).zip(g.par_chunks(CHUNK));
    chunks.for_each(|((p, (m, s)), g)| {
        vectorized(
            #[inline(always)]
            || {
                for (((p, m), s), g) in p.iter_mut().zip(m).zip(s).zip(g) {
                    *m += first * (g - *m);
                    *s += second * (g * g - *s);
                    *p = keep * *p - rate * (*m / (s.sqrt() / root + epsilon));
                }
            },
        );
    });
}
