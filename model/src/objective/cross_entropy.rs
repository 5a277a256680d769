use dfdx::prelude::*;

use super::{Loss, TargetGradient};
use crate::backend::Backend;
use crate::tensors::{Features, Taped};

/// `D(p, z) = -mean over the batch of softmax(z) . log softmax(p)`, the softmax over channels: the similarity of Chen &
/// He 2021, section 4.5.
pub fn channel_cross_entropy<const DIM: usize, D: Backend>(
    p: Features<D, DIM, Taped<D>>,
    z: Features<D, DIM>,
    target_gradient: TargetGradient,
) -> Loss<D> {
    let log_p = p.log_softmax::<Axis<1>>();
    let products = match target_gradient {
        TargetGradient::Stopped => log_p * z.softmax::<Axis<1>>(),
        TargetGradient::Flows => log_p * z.leaky_traced().softmax::<Axis<1>>(),
    };
    -products.sum::<_, Axis<1>>().mean()
}
