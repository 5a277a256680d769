use dfdx::prelude::*;

use super::Loss;
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// SwAV's swapped prediction (Caron et al. 2020, equations 2 and 6; `facebookresearch/swav`, `main_swav.py`): the codes of the
/// first `A` of `V` views are predicted from the scores of all other views,
///
/// `L = -1/A sum over i in 1..A of 1/(V - 1) sum over v != i of mean of ( q_i . log softmax(s_v / T) )`,
///
/// with the scores `s = z C^T` of `K` prototypes, `V` times `batch x K`, and the codes `q`, from [`sinkhorn`], as constants, `A` times
/// as many. With two views and two codes this is equation 2.
///
/// # Panics
/// If there are fewer than two codes, or fewer views than codes.
pub fn swapped_prediction<const K: usize, D: Backend>(
    scores: Vec<Features<D, K, Taped<D>>>,
    codes: &[Features<D, K>],
    temperature: f32,
) -> Loss<D> {
    assert!(2 <= codes.len() && codes.len() <= scores.len(), "two views or more have codes");
    let predictions = codes.len() * (scores.len() - 1);
    let of_view = |(view, scores): (usize, Features<D, K, Taped<D>>)| -> Loss<D> {
        // The cross-entropy is linear in the code, so that one pass over the scores is enough for all of them.
        let others = codes.iter().enumerate().filter(|(of, _)| *of != view).map(|(_, codes)| codes.clone());
        let codes = others.reduce(|sum, codes| sum + codes).expect("another view has a code");
        -((scores * (1.0 / temperature)).log_softmax::<Axis<1>>() * codes).sum::<_, Axis<1>>().mean()
    };
    let sum = scores.into_iter().enumerate().map(of_view).reduce(|sum, loss| sum + loss);
    sum.expect("there are views") * (1.0 / predictions as f32)
}

/// The codes of a batch's scores, `batch x K -> batch x K`: the transport plan between samples and prototypes that uses
/// all prototypes equally, with entropy weight `epsilon`, after `iterations` Sinkhorn-Knopp iterations (equation 4).
/// Each row sums to 1.
pub fn sinkhorn<const K: usize, D: Backend>(
    scores: &Features<D, K>,
    epsilon: f32,
    iterations: usize,
) -> Features<D, K> {
    let shape = *scores.shape();
    // Scores of unit vectors are at most 1; a factor common to all entries cancels.
    let mut q = ((scores.clone() - 1.0) * (1.0 / epsilon)).exp();
    for _ in 0..iterations {
        let prototypes = q.clone().sum::<_, Axis<0>>() * K as f32;
        q = q / prototypes.broadcast_like(&shape);
        let samples = q.clone().sum::<_, Axis<1>>();
        q = q / samples.broadcast_like(&shape);
    }
    q
}
