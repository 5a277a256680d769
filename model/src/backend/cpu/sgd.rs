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
        const CHUNK: usize = 1 << 14;
        let SgdStep { learning_rate, momentum, weight_decay } = *step;
        let n = p.shape().num_elements();
        g.resize(n, 0.0);
        let p = values_mut(p).par_chunks_mut(CHUNK);
        let v = values_mut(v).par_chunks_mut(CHUNK);
        let work = Work { flops: 6.0 * n as f64, values: 5 * n };
        record(
            "sgd",
            || format!("{n}"),
            work,
            || {
                p.zip(v).zip(g.par_chunks(CHUNK)).for_each(|((p, v), g)| {
                    vectorized(
                        #[inline(always)]
                        || {
                            for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
                                *v = momentum * *v + (g + weight_decay * *p);
                                *p -= learning_rate * *v;
                            }
                        },
                    );
                })
            },
        );
        g.clear();
        Ok(())
    }
}
