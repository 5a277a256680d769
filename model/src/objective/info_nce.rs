use dfdx::prelude::*;

use super::{Loss, again, ranges, unit};
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// MoCo's InfoNCE (He et al. 2020, equation 1): each query is compared with its own key and with all keys of a queue,
///
/// `L = mean of -log( exp(q . k / T) / (exp(q . k / T) + sum over the queue of exp(q . k' / T)) )`.
///
/// `q` is normalised here; `k` and `queue`, `K x DIM`, are unit rows.
pub fn info_nce<const DIM: usize, D: Backend>(
    q: Features<D, DIM, Taped<D>>,
    k: Features<D, DIM>,
    queue: &Features<D, DIM>,
    temperature: f32,
) -> Loss<D> {
    let scale = 1.0 / temperature;
    let (q, tape) = unit(q).split_tape();
    // Similarities are at most 1: exponents are taken of (s - 1) / T, which does not overflow.
    let positive = (again(&q) * k).sum::<_, Axis<1>>() * scale - scale;
    let parts = ranges(queue.shape().0).map(|keys| {
        let keys = queue.clone().slice((keys, ..));
        (again(&q).matmul(keys.permute()) * scale - scale).exp().sum::<(usize,), Axis<1>>()
    });
    let all = parts.fold(positive.with_empty_tape().exp(), |all, part| all + part);
    let (loss, own) = (all.ln() - positive).mean().split_tape();
    loss.put_tape(own.merge(tape))
}
