use dfdx::prelude::*;

use super::{Loss, again, unit};
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// SimCLR's normalised, temperature-scaled cross-entropy (Chen et al. 2020, equation 1) over the `2 N` projections of a
/// batch:
///
/// `L = mean over all i of -log( exp(s(i, j) / T) / sum over k != i of exp(s(i, k) / T) )`,
///
/// with the cosine similarity `s` and `j` the other view of the image of `i`.
pub fn nt_xent<const DIM: usize, D: Backend>(
    z1: Features<D, DIM, Taped<D>>,
    z2: Features<D, DIM, Taped<D>>,
    temperature: f32,
) -> Loss<D> {
    let (z1, tape1) = unit(z1).split_tape();
    let (z2, tape2) = unit(z2).split_tape();
    let one = anchored(&z1, &z2, temperature);
    let two = anchored(&z2, &z1, temperature);
    let (loss, tape) = ((one + two) * 0.5).split_tape();
    loss.put_tape(tape.merge(tape1).merge(tape2))
}

/// The mean over the anchors `a`, whose other views are the rows of `b`. Similarities are at most 1, so exponents are
/// taken of `(s - 1) / T`, which does not overflow.
fn anchored<const DIM: usize, D: Backend>(
    a: &Features<D, DIM>,
    b: &Features<D, DIM>,
    temperature: f32,
) -> Loss<D> {
    let scale = 1.0 / temperature;
    // A product of a tensor with itself would be one of two factors with one gradient, which dfdx refuses: hence the copy.
    let similarities = |other: &Features<D, DIM>| again(a).matmul((again(other) * 1.0).permute());
    let positive = (again(a) * again(b)).sum::<_, Axis<1>>() * scale - scale;
    let to_own_view = (similarities(a) * scale - scale).exp() * others(a);
    let to_other_view = (similarities(b) * scale - scale).exp();
    let all = to_own_view.sum::<_, Axis<1>>() + to_other_view.sum::<(usize,), Axis<1>>();
    (all.ln() - positive).mean()
}

/// 0 on the diagonal, 1 elsewhere: an anchor is not compared with itself. It is computed on the device, because a copy
/// of so many values would wait for the device.
fn others<const DIM: usize, D: Backend>(a: &Features<D, DIM>) -> Tensor<(usize, usize), f32, D> {
    let n = a.shape().0;
    let numbers = a.device().tensor_from_vec((0..n).map(|i| i as f32).collect(), (n,));
    let rows = numbers.clone().broadcast_like::<_, Axis<1>>(&(n, n));
    (rows - numbers.broadcast_like::<_, Axis<0>>(&(n, n))).square().clamp(0.0, 1.0)
}
