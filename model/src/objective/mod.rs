//! The losses of the methods, one equation per file, and the statistics that detect a collapse.

use std::ops::Range;

use dfdx::prelude::*;

use crate::backend::Backend;
use crate::tensors::{Features, Taped};

mod cosine;
pub use cosine::negative_cosine;

mod cross_entropy;
pub use cross_entropy::channel_cross_entropy;

mod nt_xent;
pub use nt_xent::nt_xent;

mod info_nce;
pub use info_nce::info_nce;

mod swapped;
pub use swapped::{sinkhorn, swapped_prediction};

mod barlow_twins;
pub use barlow_twins::barlow_twins;

mod vicreg;
pub use vicreg::{VicRegWeights, vicreg};

mod spread;
pub use spread::{Spread, SpreadSums};

/// A scalar loss with the tape of its computation.
pub type Loss<D> = Tensor<Rank0, f32, D, Taped<D>>;

/// Whether the gradient flows into the target `z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetGradient {
    /// It is stopped: SimSiam.
    Stopped,
    /// It flows: the ablation that collapses.
    Flows,
}

/// The rows' directions, `x / |x|`.
pub fn unit<const DIM: usize, D: Backend, T: Tape<f32, D> + Merge<T>>(
    x: Features<D, DIM, T>,
) -> Features<D, DIM, T> {
    /// Avoids NaN in the direction of a zero row and in its gradient.
    const MIN_SQUARE: f32 = 1e-16;
    let shape = *x.shape();
    let norm = (x.with_empty_tape().square().sum::<_, Axis<1>>() + MIN_SQUARE).sqrt();
    x / norm.broadcast_like(&shape)
}

/// Cuts what dfdx's product sums over into ranges that it sums in one go: longer sums it divides by the sizes of the
/// processor's caches, so that they would not be the same bits everywhere.
fn ranges(len: usize) -> impl Iterator<Item = Range<usize>> {
    const LONGEST: usize = 512;
    (0..len).step_by(LONGEST).map(move |from| from..len.min(from + LONGEST))
}

/// `x` with a tape of its own, for one of several uses; the tapes meet again where the uses do.
fn again<S: Shape, D: Backend>(x: &Tensor<S, f32, D>) -> Tensor<S, f32, D, Taped<D>> {
    x.clone().put_tape(Taped::<D>::default())
}

/// The inner products of the rows, `batch x batch`, with a tape of their own.
fn gram<const DIM: usize, D: Backend>(z: &Features<D, DIM>) -> Tensor<(usize, usize), f32, D, Taped<D>> {
    // dfdx's slice overwrites the gradient of what it cuts, where it must add: so each range is cut once, from a copy that
    // nothing else uses.
    let (copy, of_copy) = (again(z) * 1.0).split_tape();
    let part = |channels: Range<usize>| {
        let (rows, of_rows) = again(&copy).slice((.., channels)).split_tape();
        // A product of a tensor with itself would be one of two factors with one gradient, which dfdx refuses.
        let products = again(&rows).matmul((again(&rows) * 1.0).permute::<_, Axes2<1, 0>>());
        let (products, tape) = products.split_tape();
        products.put_tape(tape.merge(of_rows))
    };
    let products = ranges(DIM).map(part).reduce(|a, b| a + b).expect("there is a channel");
    let (products, tape) = products.split_tape();
    products.put_tape(tape.merge(of_copy))
}
