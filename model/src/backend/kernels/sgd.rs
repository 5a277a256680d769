//! The update of [`SgdKernel`](crate::backend::SgdKernel).

use super::{Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::SgdStep;

/// Updates `p` and `v` by `g`; no gradient stands for zeros.
pub(crate) fn update<Q: Queue>(
    queue: &Q,
    step: &SgdStep,
    mut p: ValuesMut<'_>,
    mut v: ValuesMut<'_>,
    g: Option<Values<'_>>,
) -> Result<(), Q::Err> {
    let n = p.len();
    assert!(v.len() == n && g.is_none_or(|g| g.len() == n), "a parameter's velocity and gradient fit it");
    let SgdStep { learning_rate, momentum, weight_decay } = *step;
    // SAFETY: `n` values are read and written, and that many are in each.
    unsafe {
        launch!(
            queue,
            "sgd",
            grid_of(n),
            [count(n), learning_rate, momentum, weight_decay, &mut p, &mut v, g]
        )
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::SgdKernel;
    use crate::backend::kernels::host::{assert_close, noise, on_host};

    #[test]
    fn agrees_with_the_cpus() {
        let step = SgdStep { learning_rate: 0.05, momentum: 0.9, weight_decay: 1e-3 };
        on_host(|host| {
            for (n, with_gradient) in [(1, true), (257, true), (5000, true), (300, false)] {
                let [p, v, g] = [1, 2, 3].map(|seed| noise(seed, n));
                let dev = Cpu::default();
                let mut p_cpu = dev.tensor_from_vec(p.clone(), (n,));
                let mut v_cpu = dev.tensor_from_vec(v.clone(), (n,));
                let mut g_cpu = dev.try_alloc_len(0).unwrap();
                if with_gradient {
                    g_cpu.extend(&g);
                }
                dev.sgd_update(&step, &mut p_cpu, &mut v_cpu, &mut g_cpu).unwrap();

                let (mut p, mut v) = (p, v);
                let g = with_gradient.then_some(Values::from(&g[..]));
                update(host, &step, (&mut p[..]).into(), (&mut v[..]).into(), g).unwrap();
                assert_close("p", &p, &p_cpu.as_vec());
                assert_close("v", &v, &v_cpu.as_vec());
            }
        });
    }
}
