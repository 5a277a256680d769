//! The update of [`AdamWKernel`](crate::backend::AdamWKernel).

use super::{Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::AdamWStep;

/// Updates `p` and its moments `m` and `s` by `g`; no gradient stands for zeros.
pub(crate) fn update<Q: Queue>(
    queue: &Q,
    step: &AdamWStep,
    mut p: ValuesMut<'_>,
    [mut m, mut s]: [ValuesMut<'_>; 2],
    g: Option<Values<'_>>,
) -> Result<(), Q::Err> {
    let n = p.len();
    let fit = m.len() == n && s.len() == n && g.is_none_or(|g| g.len() == n);
    assert!(fit, "a parameter's moments and gradient fit it");
    let AdamWStep { keep, first, second, rate, root, epsilon } = *step;
    // SAFETY: `n` values are read and written, and that many are in each.
    unsafe {
        launch!(
            queue,
            "adamw",
            grid_of(n),
            [count(n), keep, first, second, rate, root, epsilon, &mut p, &mut m, &mut s, g]
        )
    }
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::AdamWKernel;
    use crate::backend::kernels::host::{assert_close, noise, on_host};

    #[test]
    fn agrees_with_the_cpus() {
        let step = AdamWStep { keep: 0.99, first: 0.1, second: 0.001, rate: 0.05, root: 0.04, epsilon: 1e-8 };
        on_host(|host| {
            for (n, with_gradient) in [(1, true), (257, true), (5000, true), (300, false)] {
                let [p, m, s, g] = [1, 2, 3, 4].map(|seed| noise(seed, n));
                let s: Vec<f32> = s.into_iter().map(f32::abs).collect();
                let dev = Cpu::default();
                let [mut p_cpu, mut m_cpu, mut s_cpu] =
                    [&p, &m, &s].map(|values| dev.tensor_from_vec(values.clone(), (n,)));
                let mut g_cpu = dev.try_alloc_len(0).unwrap();
                if with_gradient {
                    g_cpu.extend(&g);
                }
                dev.adamw_update(&step, &mut p_cpu, &mut m_cpu, &mut s_cpu, &mut g_cpu).unwrap();

                let (mut p, mut m, mut s) = (p, m, s);
                let g = with_gradient.then_some(Values::from(&g[..]));
                let moments = [(&mut m[..]).into(), (&mut s[..]).into()];
                update(host, &step, (&mut p[..]).into(), moments, g).unwrap();
                assert_close("p", &p, &p_cpu.as_vec());
                assert_close("m", &m, &m_cpu.as_vec());
                assert_close("s", &s, &s_cpu.as_vec());
            }
        });
    }
}
