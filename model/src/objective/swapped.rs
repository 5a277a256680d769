use dfdx::prelude::*;

use super::Loss;
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// SwAV's swapped prediction (Caron et al. 2020, equation 2): each view's code is predicted from the other view's scores,
///
/// `L = -1/2 mean of ( q2 . log softmax(s1 / T) + q1 . log softmax(s2 / T) )`,
///
/// with the scores `s = z C^T` of `K` prototypes and their codes `q`, from [`sinkhorn`], as constants.
pub fn swapped_prediction<const K: usize, D: Backend>(
    scores1: Features<D, K, Taped<D>>,
    scores2: Features<D, K, Taped<D>>,
    codes: [Features<D, K>; 2],
    temperature: f32,
) -> Loss<D> {
    let cross_entropy = |scores: Features<D, K, Taped<D>>, codes: Features<D, K>| -> Loss<D> {
        -((scores * (1.0 / temperature)).log_softmax::<Axis<1>>() * codes).sum::<_, Axis<1>>().mean()
    };
    let [codes1, codes2] = codes;
    (cross_entropy(scores1, codes2) + cross_entropy(scores2, codes1)) * 0.5
}

/// The codes of a batch's scores, `batch x K -> batch x K`: the transport plan between samples and prototypes that uses
/// all prototypes equally, with entropy `epsilon`, by `iterations` of Sinkhorn and Knopp (equation 4). Each row sums to 1.
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
