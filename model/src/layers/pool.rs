use dfdx::prelude::*;

use crate::backend::{Backend, PoolGeometry, computed, take_gradient};
use crate::tensors::{Features, Images, images_shape};

/// Max pooling, `batch x C x S x S -> batch x C x S' x S'` with `S' = (S + 2 PAD - KERNEL) / STRIDE + 1`.
///
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, layers::MaxPool2d};
/// # let dev = Cpu::default();
/// let x: Images<Cpu, 8, 16> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 8> = MaxPool2d::<3, 2, 1>.forward(x);
/// ```
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Images, layers::MaxPool2d};
/// # let dev = Cpu::default();
/// let x: Images<Cpu, 8, 16> = Images::zeros(&dev, 2);
/// let y: Images<Cpu, 8, 9> = MaxPool2d::<3, 2, 1>.forward(x);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxPool2d<const KERNEL: usize, const STRIDE: usize, const PAD: usize>;

impl<const KERNEL: usize, const STRIDE: usize, const PAD: usize> MaxPool2d<KERNEL, STRIDE, PAD> {
    /// The largest value of each window.
    pub fn forward<const C: usize, const S: usize, const S_OUT: usize, D: Backend, T: Tape<f32, D>>(
        &self,
        x: Images<D, C, S, T>,
    ) -> Images<D, C, S_OUT, T> {
        let geometry = Sizes::<KERNEL, STRIDE, PAD, S, S_OUT>::geometry(C);
        let (batch, format) = (x.batch(), x.format());
        let (Images(x), mut tape) = x.split_tape();
        let y = computed(x.device().max_pool(&geometry, &x, images_shape(batch, C, S_OUT, format)));

        let y_ghost = y.ghost();
        tape.add_backward_op(move |grads| {
            let dev = x.device();
            let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, dev)?;
            dev.max_pool_backward(&geometry, &x, &grad_y, grads.get_or_alloc_mut(&x)?)
        });
        Images(y.put_tape(tape))
    }
}

/// The compile-time check of a pooling's sizes.
struct Sizes<const KERNEL: usize, const STRIDE: usize, const PAD: usize, const S: usize, const S_OUT: usize>;

impl<const KERNEL: usize, const STRIDE: usize, const PAD: usize, const S: usize, const S_OUT: usize>
    Sizes<KERNEL, STRIDE, PAD, S, S_OUT>
{
    const FIT: () = {
        assert!(2 * PAD <= KERNEL, "a window lies in the padding alone");
        assert!(
            S + 2 * PAD >= KERNEL && (S + 2 * PAD - KERNEL) / STRIDE + 1 == S_OUT,
            "the output's size is not (S + 2 PAD - KERNEL) / STRIDE + 1"
        );
    };

    fn geometry(channels: usize) -> PoolGeometry {
        let () = Self::FIT;
        PoolGeometry { channels, in_size: S, out_size: S_OUT, kernel: KERNEL, stride: STRIDE, pad: PAD }
    }
}

/// The mean over height and width, `batch x C x S x S -> batch x C`.
///
/// ```
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Images, images_from, layers::global_avg_pool};
/// # let dev = Cpu::default();
/// let x: Images<Cpu, 8, 4> = images_from(&dev, &[1.0; 2 * 8 * 16]);
/// let y: Features<Cpu, 8> = global_avg_pool(x);
/// assert_eq!(y.as_vec(), [1.0; 16]);
/// ```
/// ```compile_fail
/// # use dfdx::prelude::*;
/// # use simsiam_model::{Features, Images, images_from, layers::global_avg_pool};
/// # let dev = Cpu::default();
/// let x: Images<Cpu, 8, 4> = images_from(&dev, &[1.0; 2 * 8 * 16]);
/// let y: Features<Cpu, 9> = global_avg_pool(x);
/// ```
pub fn global_avg_pool<const C: usize, const S: usize, D: Backend, T: Tape<f32, D>>(
    x: Images<D, C, S, T>,
) -> Features<D, C, T> {
    let (Images(x), mut tape) = x.split_tape();
    let y = computed(x.device().global_avg_pool(&x, (x.shape().0, Const)));

    let (dev, shape) = (x.device().clone(), *x.shape());
    let (x_ghost, y_ghost) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |grads| {
        let grad_y = take_gradient(grads.get_or_alloc_mut(&y_ghost)?, &dev)?;
        dev.global_avg_pool_backward(&shape, C, &grad_y, grads.get_or_alloc_mut(&x_ghost)?)
    });
    y.put_tape(tape)
}
