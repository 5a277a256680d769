//! Max pooling and global average pooling.

use super::{Layout, Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::{Format, PoolGeometry};

/// The largest value of each window of each plane of images that lie as `layout` says.
pub(crate) fn max_pool<Q: Queue>(
    queue: &Q,
    layout: &Layout,
    g: &PoolGeometry,
    x: Values<'_>,
    mut y: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [batch, channels, in_size, out_size, kernel, stride, pad] = sizes(layout, g, x.len(), y.len());
    // SAFETY: `x` has the layout's images of the input's size and `y` as many of the output's.
    unsafe {
        launch!(
            queue,
            layout.kernel("max_pool", "max_pool_bf16"),
            grid_of(y.len()),
            [batch, channels, in_size, out_size, kernel, stride, pad, x, &mut y]
        )
    }
}

/// Adds `dL/dx`, given `dL/dy`.
pub(crate) fn max_pool_gradient<Q: Queue>(
    queue: &Q,
    layout: &Layout,
    g: &PoolGeometry,
    x: Values<'_>,
    grad_y: Values<'_>,
    mut grad_x: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [batch, channels, in_size, out_size, kernel, stride, pad] = sizes(layout, g, x.len(), grad_y.len());
    assert_eq!(grad_x.len(), x.len(), "a gradient has its values' shape");
    // SAFETY: as in `max_pool`.
    unsafe {
        launch!(
            queue,
            layout.kernel("max_pool_gradient", "max_pool_bf16_gradient"),
            grid_of(x.len()),
            [batch, channels, in_size, out_size, kernel, stride, pad, x, grad_y, &mut grad_x]
        )
    }
}

fn sizes(layout: &Layout, g: &PoolGeometry, inputs: usize, outputs: usize) -> [u32; 7] {
    let fits = inputs == layout.with_plane(g.in_size * g.in_size).len()
        && outputs == layout.with_plane(g.out_size * g.out_size).len();
    assert!(fits, "{inputs} words of {layout:?} pooled to {outputs} by {g:?}");
    let [batch, channels, _] = layout.counts();
    let [in_size, out_size, kernel, stride, pad] =
        [g.in_size, g.out_size, g.kernel, g.stride, g.pad].map(count);
    [batch, channels, in_size, out_size, kernel, stride, pad]
}

/// The mean of each plane.
pub(crate) fn global_avg_pool<Q: Queue>(
    queue: &Q,
    layout: &Layout,
    x: Values<'_>,
    mut y: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [batch, channels, plane] = averaged(layout, x.len(), y.len());
    let grid = match layout.format {
        Format::F32 => (count(y.len()), 1),
        Format::Bf16 => grid_of(y.len() / 2),
    };
    let kernel = layout.kernel("global_avg_pool", "global_avg_pool_bf16");
    // SAFETY: `x` has a plane for each of `y`.
    unsafe { launch!(queue, kernel, grid, [batch, channels, plane, x, &mut y]) }
}

/// Adds `dL/dx`, given `dL/dy`.
pub(crate) fn global_avg_pool_gradient<Q: Queue>(
    queue: &Q,
    layout: &Layout,
    grad_y: Values<'_>,
    mut grad_x: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let [batch, channels, plane] = averaged(layout, grad_x.len(), grad_y.len());
    let kernel = layout.kernel("global_avg_pool_gradient", "global_avg_pool_bf16_gradient");
    // SAFETY: as in `global_avg_pool`.
    unsafe { launch!(queue, kernel, grid_of(grad_x.len()), [batch, channels, plane, grad_y, &mut grad_x]) }
}

fn averaged(layout: &Layout, inputs: usize, outputs: usize) -> [u32; 3] {
    let fits = inputs == layout.len() && outputs == layout.batch * layout.channels;
    assert!(fits, "{inputs} words of {layout:?} averaged to {outputs}");
    layout.counts()
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::kernels::host::{Host, assert_close_in, noise_in, on_host};
    use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel};

    const FORMATS: [Format; 2] = [Format::F32, Format::Bf16];

    #[test]
    fn max_pooling_agrees_with_the_cpus() {
        on_host(|host| {
            let pools =
                [(16, 8, 3, 2, 1), (7, 4, 3, 2, 1), (9, 3, 3, 3, 0), (5, 3, 3, 1, 0), (11, 4, 5, 3, 2)];
            for (in_size, out_size, kernel, stride, pad) in pools {
                let g = PoolGeometry { channels: 6, in_size, out_size, kernel, stride, pad };
                for format in FORMATS {
                    max_agrees(host, &g, format, |x| x);
                    // Ties belong to the first.
                    max_agrees(host, &g, format, |x| (2.0 * x).round());
                }
            }
        });
    }

    fn max_agrees(host: &Host, g: &PoolGeometry, format: Format, of_noise: fn(f32) -> f32) {
        let of_inputs = Layout { format, batch: 2, channels: g.channels, plane: g.in_size * g.in_size };
        let of_outputs = of_inputs.with_plane(g.out_size * g.out_size);
        let x = noise_in(&of_inputs, 1, of_noise);
        let (grad_y, before) = (noise_in(&of_outputs, 2, |x| x), noise_in(&of_inputs, 3, |x| x));
        let shape = |size| (2, format.words(g.channels), size, size);
        let dev = Cpu::default();
        let x_cpu = dev.tensor_from_vec(x.clone(), shape(g.in_size));
        let y_cpu = dev.max_pool(g, &x_cpu, shape(g.out_size)).unwrap();
        let mut y = vec![0.0; of_outputs.len()];
        max_pool(host, &of_inputs, g, x[..].into(), (&mut y[..]).into()).unwrap();
        assert_eq!(bits(&y), bits(&y_cpu.as_vec()), "{format:?}, {g:?}");

        let [mut grad_y_cpu, mut grad_x_cpu] = [grad_y.len(), x.len()].map(|n| dev.try_alloc_len(n).unwrap());
        grad_y_cpu.copy_from_slice(&grad_y);
        grad_x_cpu.copy_from_slice(&before);
        dev.max_pool_backward(g, &x_cpu, &grad_y_cpu, &mut grad_x_cpu).unwrap();
        let mut grad_x = before;
        max_pool_gradient(host, &of_inputs, g, x[..].into(), grad_y[..].into(), (&mut grad_x[..]).into())
            .unwrap();
        assert_close_in(&of_inputs, &format!("gradient of {g:?}"), &grad_x, &grad_x_cpu);
    }

    fn bits(words: &[f32]) -> Vec<u32> {
        words.iter().map(|word| word.to_bits()).collect()
    }

    #[test]
    fn average_pooling_agrees_with_the_cpus() {
        on_host(|host| {
            for (batch, channels, side) in [(1, 2, 1), (3, 2, 4), (1, 10, 7), (2, 34, 20)] {
                for format in FORMATS {
                    let layout = Layout { format, batch, channels, plane: side * side };
                    let of_outputs = Layout { format: Format::F32, plane: 1, ..layout };
                    let (x, before) = (noise_in(&layout, 1, |x| x), noise_in(&layout, 3, |x| x));
                    let grad_y = noise_in(&of_outputs, 2, |x| x);
                    let dev = Cpu::default();
                    let x_cpu = dev.tensor_from_vec(x.clone(), (batch, format.words(channels), side, side));
                    let mut y = vec![0.0; of_outputs.len()];
                    global_avg_pool(host, &layout, x[..].into(), (&mut y[..]).into()).unwrap();
                    let y_cpu = dev.global_avg_pool(&x_cpu, (batch, channels)).unwrap();
                    assert_close_in(&of_outputs, "y", &y, &y_cpu.as_vec());

                    let [mut grad_y_cpu, mut grad_x_cpu] =
                        [grad_y.len(), x.len()].map(|n| dev.try_alloc_len(n).unwrap());
                    grad_y_cpu.copy_from_slice(&grad_y);
                    grad_x_cpu.copy_from_slice(&before);
                    dev.global_avg_pool_backward(x_cpu.shape(), channels, &grad_y_cpu, &mut grad_x_cpu)
                        .unwrap();
                    let mut grad_x = before;
                    global_avg_pool_gradient(host, &layout, grad_y[..].into(), (&mut grad_x[..]).into())
                        .unwrap();
                    assert_close_in(&layout, "gradient", &grad_x, &grad_x_cpu);
                }
            }
        });
    }
}
