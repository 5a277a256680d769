use dfdx::prelude::*;

use super::{Loss, TargetGradient};
use crate::backend::{Backend, computed, take_gradient};
use crate::tensors::{Features, Taped};

/// `D(p, z) = -mean over the batch of p . z / (|p| |z|)`, equation 1 of the paper.
pub fn negative_cosine<D: Backend, const DIM: usize>(
    p: Features<D, DIM, Taped<D>>,
    z: Features<D, DIM>,
    target_gradient: TargetGradient,
) -> Loss<D> {
    let (p, mut tape) = p.split_tape();
    let loss = computed(p.device().negative_cosine(&p, &z));

    let loss_ghost = loss.ghost();
    tape.add_backward_op(move |grads| {
        let dev = p.device();
        let grad = take_gradient(grads.get_or_alloc_mut(&loss_ghost)?, dev)?;
        dev.negative_cosine_backward(&p, &z, &grad, grads.get_or_alloc_mut(&p)?)?;
        match target_gradient {
            TargetGradient::Stopped => Ok(()),
            TargetGradient::Flows => dev.negative_cosine_backward(&z, &p, &grad, grads.get_or_alloc_mut(&z)?),
        }
    });
    loss.put_tape(tape)
}
