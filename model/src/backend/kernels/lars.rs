//! The update of [`LarsKernel`](crate::backend::LarsKernel): partial norms first, then the update.

use super::{Queue, THREADS, Values, ValuesMut, count, grid_of, launch};
use crate::backend::LarsStep;

/// Blocks that sum the squares of `n` values, a part each; two sums a block.
fn parts(n: usize) -> u32 {
    const VALUES_OF_THREAD: u32 = 16;
    const MOST: u32 = 256;
    count(n).div_ceil(THREADS * VALUES_OF_THREAD).min(MOST)
}

/// Length of the memory for sums, in f64.
pub(crate) fn sums_len(n: usize) -> usize {
    2 * parts(n) as usize
}

/// Updates `p` and `v` by `g`; no gradient stands for zeros. `sums` is memory for [`sums_len`].
pub(crate) fn update<Q: Queue>(
    queue: &Q,
    step: &LarsStep,
    mut p: ValuesMut<'_>,
    mut v: ValuesMut<'_>,
    g: Option<Values<'_>>,
    mut sums: ValuesMut<'_, f64>,
) -> Result<(), Q::Err> {
    let n = p.len();
    assert!(v.len() == n && g.is_none_or(|g| g.len() == n), "a parameter's velocity and gradient fit it");
    assert!(sums.len() == sums_len(n), "there are two sums for each part");
    let LarsStep { learning_rate, momentum, weight_decay, trust } = *step;
    // SAFETY: `n` values are read, and each block writes its two sums.
    unsafe {
        launch!(queue, "lars_squares", (parts(n), 1), [count(n), weight_decay, p.as_values(), g, &mut sums])?
    };
    // SAFETY: `n` values are read and written, that many are in each, and the sums of all parts are read.
    unsafe {
        launch!(
            queue,
            "lars",
            grid_of(n),
            [
                count(n),
                parts(n),
                learning_rate,
                momentum,
                weight_decay,
                trust,
                &mut p,
                &mut v,
                g,
                sums.as_values()
            ]
        )
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::LarsKernel;
    use crate::backend::kernels::host::{assert_close, noise, on_host};

    #[test]
    fn agrees_with_the_cpus() {
        let step = LarsStep { learning_rate: 5.0, momentum: 0.9, weight_decay: 1e-3, trust: 0.01 };
        on_host(|host| {
            for (n, with_gradient) in [(1, true), (257, true), (20_000, true), (300, false)] {
                let [p, v, g] = [1, 2, 3].map(|seed| noise(seed, n));
                let dev = Cpu::default();
                let mut p_cpu = dev.tensor_from_vec(p.clone(), (n,));
                let mut v_cpu = dev.tensor_from_vec(v.clone(), (n,));
                let mut g_cpu = dev.try_alloc_len(0).unwrap();
                if with_gradient {
                    g_cpu.extend(&g);
                }
                dev.lars_update(&step, &mut p_cpu, &mut v_cpu, &mut g_cpu).unwrap();

                let (mut p, mut v, mut sums) = (p, v, vec![0.0f64; sums_len(n)]);
                let g = with_gradient.then_some(Values::from(&g[..]));
                let sums = (&mut sums[..]).into();
                update(host, &step, (&mut p[..]).into(), (&mut v[..]).into(), g, sums).unwrap();
                assert_close("p", &p, &p_cpu.as_vec());
                assert_close("v", &v, &v_cpu.as_vec());
            }
        });
    }
}
