//! [`CosineKernel`](crate::backend::CosineKernel)'s sums, with a block of threads per row.

use super::{Queue, Values, ValuesMut, count, launch};

/// The scalar `loss`, by way of the `cosines` of the rows of `p` and `z`.
pub(crate) fn negative_mean<Q: Queue>(
    queue: &Q,
    p: Values<'_>,
    z: Values<'_>,
    mut cosines: ValuesMut<'_>,
    mut loss: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let rows = cosines.len();
    let width = row_width(p, z, rows);
    assert_eq!(loss.len(), 1, "the loss is one value");
    // SAFETY: `p` and `z` have `rows` rows of `width` values, a block reads one and writes one of as many cosines.
    unsafe { launch!(queue, "cosines", (count(rows), 1), [width, p, z, &mut cosines])? };
    // SAFETY: `rows` cosines are read, and one value is written.
    unsafe { launch!(queue, "negative_mean", (1, 1), [count(rows), cosines.as_values(), &mut loss]) }
}

/// Adds `dL/dp`, given the gradient of the loss, for `rows` rows.
pub(crate) fn gradient<Q: Queue>(
    queue: &Q,
    rows: usize,
    p: Values<'_>,
    z: Values<'_>,
    grad_loss: Values<'_>,
    mut grad_p: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let width = row_width(p, z, rows);
    assert!(grad_loss.len() == 1 && grad_p.len() == p.len(), "gradients have their values' shapes");
    let rows = count(rows);
    // SAFETY: as for the loss; a block adds to the row that it reads.
    unsafe {
        launch!(queue, "negative_cosine_gradient", (rows, 1), [rows, width, p, z, grad_loss, &mut grad_p])
    }
}

fn row_width(p: Values<'_>, z: Values<'_>, rows: usize) -> u32 {
    let width = p.len() / rows.max(1);
    assert!(p.len() == rows * width && z.len() == p.len(), "p and z are rows of the same length");
    count(p.len());
    count(width)
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::CosineKernel;
    use crate::backend::kernels::host::{Host, assert_close, noise, on_host};
    use crate::tensors::Features;

    #[test]
    fn agree_with_the_cpus() {
        on_host(|host| {
            agrees::<5>(host, 1, 1.0);
            agrees::<300>(host, 7, 1.0);
            agrees::<512>(host, 3, 1.0);
            // Norms that are clamped.
            agrees::<8>(host, 3, 1e-10);
        });
    }

    fn agrees<const C: usize>(host: &Host, rows: usize, scale: f32) {
        let mut p = noise(1, rows * C);
        p.iter_mut().for_each(|p| *p *= scale);
        let (z, before) = (noise(2, rows * C), noise(3, rows * C));
        let dev = Cpu::default();
        let p_cpu: Features<Cpu, C> = dev.tensor_from_vec(p.clone(), (rows, Const));
        let z_cpu: Features<Cpu, C> = dev.tensor_from_vec(z.clone(), (rows, Const));

        let (mut cosines, mut loss) = (vec![0.0; rows], [0.0]);
        let (p, z) = (Values::from(&p[..]), Values::from(&z[..]));
        negative_mean(host, p, z, (&mut cosines[..]).into(), (&mut loss[..]).into()).unwrap();
        assert_close("loss", &loss, &[dev.negative_cosine(&p_cpu, &z_cpu).unwrap().array()]);

        let mut grad = before.clone();
        gradient(host, rows, p, z, [0.7][..].into(), (&mut grad[..]).into()).unwrap();
        let mut expected = before;
        let mut grad_loss = dev.try_alloc_len(1).unwrap();
        grad_loss[0] = 0.7;
        let mut grad_cpu = dev.try_alloc_len(rows * C).unwrap();
        grad_cpu.copy_from_slice(&expected);
        dev.negative_cosine_backward(&p_cpu, &z_cpu, &grad_loss, &mut grad_cpu).unwrap();
        expected.copy_from_slice(&grad_cpu);
        assert_close("gradient", &grad, &expected);
    }
}
