use dfdx::prelude::*;
use rayon::prelude::*;

use super::profile::{Work, record};
use super::tensor_view::values_mut;
use super::vectorized;
use crate::backend::{SgdKernel, SgdStep};

impl SgdKernel for Cpu {
    fn sgd_update<S: Shape>(
        &self,
        step: &SgdStep,
        p: &mut Tensor<S, f32, Self>,
        v: &mut Tensor<(usize,), f32, Self>,
        g: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let n = p.shape().num_elements();
        g.resize(n, 0.0);
        let (p, v) = (values_mut(p), values_mut(v));
        let work = Work { flops: 6.0 * n as f64, values: 5 * n };
        record("sgd", || format!("{n}"), work, || update(step, p, v, g));
        g.clear();
        Ok(())
    }
}

/// Without type parameters, so that it is compiled once, in this crate.
fn update(step: &SgdStep, p: &mut [f32], v: &mut [f32], g: &[f32]) {
    const CHUNK: usize = 1 << 14;
    let SgdStep { learning_rate, momentum, weight_decay } = *step;
    let chunks = p.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)).zip(g.par_chunks(CHUNK));
    chunks.for_each(|((p, v), g)| {
        vectorized(
            #[inline(always)]
            || {
                for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
                    *v = momentum * *v + (g + weight_decay * *p);
                    *p -= learning_rate * *v;
                }
            },
        );
    });
}
