//! Max pooling and global average pooling.

use super::{Argument, Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::PoolGeometry;

/// The largest value of each window of each plane.
pub(crate) fn max_pool<Q: Queue>(
    queue: &Q,
    g: &PoolGeometry,
    x: Values<'_>,
    mut y: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [planes, in_size, out_size, kernel, stride, pad] = sizes(g, x.len(), y.len());
    // SAFETY: `x` has `planes` planes of the input's size and `y` as many of the output's.
    unsafe {
        launch!(
            queue,
            "max_pool",
            grid_of(y.len()),
            [planes, in_size, out_size, kernel, stride, pad, x, &mut y]
        )
    }
}

/// Adds `dL/dx`, given `dL/dy`.
pub(crate) fn max_pool_gradient<Q: Queue>(
    queue: &Q,
    g: &PoolGeometry,
    x: Values<'_>,
    grad_y: Values<'_>,
    mut grad_x: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [planes, in_size, out_size, kernel, stride, pad] = sizes(g, x.len(), grad_y.len());
    assert_eq!(grad_x.len(), x.len(), "a gradient has its values' shape");
    // SAFETY: as in `max_pool`.
    unsafe {
        launch!(
            queue,
            "max_pool_gradient",
            grid_of(x.len()),
            [planes, in_size, out_size, kernel, stride, pad, x, grad_y, &mut grad_x]
        )
    }
}

fn sizes(g: &PoolGeometry, inputs: usize, outputs: usize) -> [u32; 6] {
    let planes = inputs / (g.in_size * g.in_size);
    let fits = inputs == planes * g.in_size * g.in_size && outputs == planes * g.out_size * g.out_size;
    assert!(fits, "{inputs} values pooled to {outputs} by {g:?}");
    [planes, g.in_size, g.out_size, g.kernel, g.stride, g.pad].map(count)
}

/// The mean of each plane.
pub(crate) fn global_avg_pool<Q: Queue>(
    queue: &Q,
    x: Values<'_>,
    mut y: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let planes = y.len();
    let plane = plane(x.len(), planes);
    // SAFETY: `x` has a plane of `plane` values for each of `y`.
    unsafe { launch!(queue, "global_avg_pool", (count(planes), 1), [count(planes), plane, x, &mut y]) }
}

/// Adds `dL/dx`, given `dL/dy`.
pub(crate) fn global_avg_pool_gradient<Q: Queue>(
    queue: &Q,
    grad_y: Values<'_>,
    mut grad_x: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let n = grad_x.len();
    let plane = plane(n, grad_y.len());
    // SAFETY: as in `global_avg_pool`.
    unsafe { launch!(queue, "global_avg_pool_gradient", grid_of(n), [count(n), plane, grad_y, &mut grad_x]) }
}

fn plane(values: usize, planes: usize) -> Argument {
    let plane = values / planes.max(1);
    assert_eq!(values, planes * plane, "planes are of one size");
    count(values);
    count(plane).into()
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::kernels::host::{Host, assert_close, noise, on_host};
    use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel};

    #[test]
    fn max_pooling_agrees_with_the_cpus() {
        on_host(|host| {
            let pools =
                [(16, 8, 3, 2, 1), (7, 4, 3, 2, 1), (9, 3, 3, 3, 0), (5, 3, 3, 1, 0), (11, 4, 5, 3, 2)];
            for (in_size, out_size, kernel, stride, pad) in pools {
                let g = PoolGeometry { in_size, out_size, kernel, stride, pad };
                let planes = 2 * 3;
                let x = noise(1, planes * in_size * in_size);
                max_agrees(host, &g, x.clone());
                // Ties belong to the first.
                max_agrees(host, &g, x.iter().map(|x| (2.0 * x).round()).collect());
            }
        });
    }

    fn max_agrees(host: &Host, g: &PoolGeometry, x: Vec<f32>) {
        let planes = x.len() / (g.in_size * g.in_size);
        let outputs = planes * g.out_size * g.out_size;
        let (grad_y, before) = (noise(2, outputs), noise(3, x.len()));
        let dev = Cpu::default();
        let x_cpu = dev.tensor_from_vec(x.clone(), (planes, 1, g.in_size, g.in_size));
        let y_cpu = dev.max_pool(g, &x_cpu, (planes, 1, g.out_size, g.out_size)).unwrap();
        let mut y = vec![0.0; outputs];
        max_pool(host, g, x[..].into(), (&mut y[..]).into()).unwrap();
        assert_eq!(y, y_cpu.as_vec(), "{g:?}");

        let [mut grad_y_cpu, mut grad_x_cpu] = [outputs, x.len()].map(|n| dev.try_alloc_len(n).unwrap());
        grad_y_cpu.copy_from_slice(&grad_y);
        grad_x_cpu.copy_from_slice(&before);
        dev.max_pool_backward(g, &x_cpu, &grad_y_cpu, &mut grad_x_cpu).unwrap();
        let mut grad_x = before;
        max_pool_gradient(host, g, x[..].into(), grad_y[..].into(), (&mut grad_x[..]).into()).unwrap();
        assert_close(&format!("gradient of {g:?}"), &grad_x, &grad_x_cpu);
    }

    #[test]
    fn average_pooling_agrees_with_the_cpus() {
        on_host(|host| {
            for (planes, side) in [(1, 1), (6, 4), (10, 7), (3, 20)] {
                let n = planes * side * side;
                let (x, grad_y, before) = (noise(1, n), noise(2, planes), noise(3, n));
                let dev = Cpu::default();
                let x_cpu = dev.tensor_from_vec(x.clone(), (planes, 1, side, side));
                let mut y = vec![0.0; planes];
                global_avg_pool(host, x[..].into(), (&mut y[..]).into()).unwrap();
                assert_close("y", &y, &dev.global_avg_pool(&x_cpu, (planes, 1)).unwrap().as_vec());

                let [mut grad_y_cpu, mut grad_x_cpu] = [planes, n].map(|n| dev.try_alloc_len(n).unwrap());
                grad_y_cpu.copy_from_slice(&grad_y);
                grad_x_cpu.copy_from_slice(&before);
                dev.global_avg_pool_backward(&grad_y_cpu, &mut grad_x_cpu).unwrap();
                let mut grad_x = before;
                global_avg_pool_gradient(host, grad_y[..].into(), (&mut grad_x[..]).into()).unwrap();
                assert_close("gradient", &grad_x, &grad_x_cpu);
            }
        });
    }
}
