//! The linear layer: the arguments of its three products for cuBLAS, and the kernels of its bias.

use super::{Queue, Values, ValuesMut, count, grid_of, launch};

/// `C = op(A) op(B)` on matrices whose columns are contiguous: `op(A)` is `m x k`, `op(B)` `k x n`, `C` `m x n`.
///
/// A row-major matrix is its own transpose here, so each product of the layer is taken transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// Whether `op(A)` is the transpose of `A`.
    pub(crate) transpose_a: bool,
    /// Whether `op(B)` is the transpose of `B`.
    pub(crate) transpose_b: bool,
    /// Rows of `C`.
    pub(crate) m: usize,
    /// Columns of `C`.
    pub(crate) n: usize,
    /// Terms of each sum.
    pub(crate) k: usize,
    /// Distance between the columns of `A`.
    pub(crate) lda: usize,
    /// Distance between the columns of `B`.
    pub(crate) ldb: usize,
    /// Distance between the columns of `C`.
    pub(crate) ldc: usize,
}

/// `y = x W^T` as `y^T = W x^T`: A is `W`, B is `x`.
pub(crate) fn forward([batch, inputs, outputs]: [usize; 3]) -> Product {
    let (m, n, k) = (outputs, batch, inputs);
    Product { transpose_a: true, transpose_b: false, m, n, k, lda: inputs, ldb: inputs, ldc: outputs }
}

/// `dx = dy W` as `dx^T = W^T dy^T`: A is `W`, B is `dy`.
pub(crate) fn input_gradient([batch, inputs, outputs]: [usize; 3]) -> Product {
    let (m, n, k) = (inputs, batch, outputs);
    Product { transpose_a: false, transpose_b: false, m, n, k, lda: inputs, ldb: outputs, ldc: inputs }
}

/// `dW = dy^T x` as `dW^T = x^T dy`: A is `x`, B is `dy`.
pub(crate) fn weight_gradient([batch, inputs, outputs]: [usize; 3]) -> Product {
    let (m, n, k) = (inputs, outputs, batch);
    Product { transpose_a: false, transpose_b: true, m, n, k, lda: inputs, ldb: outputs, ldc: inputs }
}

/// Sets each row of `y` to the bias.
pub(crate) fn bias_rows<Q: Queue>(queue: &Q, bias: Values<'_>, mut y: ValuesMut<'_>) -> Result<(), Q::Err> {
    let rows = rows(y.len(), bias.len());
    // SAFETY: `y` is `rows` rows as long as the bias.
    unsafe { launch!(queue, "bias_rows", grid_of(y.len()), [rows, count(bias.len()), bias, &mut y]) }
}

/// Adds the sum of `grad_y`'s rows.
pub(crate) fn bias_gradient<Q: Queue>(
    queue: &Q,
    grad_y: Values<'_>,
    mut grad: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let rows = rows(grad_y.len(), grad.len());
    let (grid, width) = (grid_of(grad.len()), count(grad.len()));
    // SAFETY: as in `bias_rows`.
    unsafe { launch!(queue, "bias_gradient", grid, [rows, width, grad_y, &mut grad]) }
}

fn rows(values: usize, width: usize) -> u32 {
    let rows = values / width.max(1);
    assert_eq!(values, rows * width, "rows are as long as the bias");
    count(values);
    count(rows)
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::*;
    use crate::backend::kernels::host::{assert_close, noise, on_host};
    use crate::backend::{LinearGradients, LinearKernel};
    use crate::tensors::Features;

    /// The product as cuBLAS documents it, added to `c`.
    fn multiply(product: &Product, a: &[f32], b: &[f32], c: &mut [f32]) {
        let Product { transpose_a, transpose_b, m, n, k, lda, ldb, ldc } = *product;
        let at = |ld: usize, transposed: bool, row: usize, column: usize| {
            if transposed { row * ld + column } else { column * ld + row }
        };
        for row in 0..m {
            for column in 0..n {
                let terms =
                    (0..k).map(|i| a[at(lda, transpose_a, row, i)] * b[at(ldb, transpose_b, i, column)]);
                c[column * ldc + row] += terms.sum::<f32>();
            }
        }
    }

    #[test]
    fn products_and_bias_agree_with_the_cpus() {
        on_host(|host| {
            const IN: usize = 19;
            const OUT: usize = 300;
            let dev = Cpu::default();
            for batch in [1, 7] {
                let sizes = [batch, IN, OUT];
                let [x, w, bias, grad_y] = [(1, batch * IN), (2, OUT * IN), (3, OUT), (4, batch * OUT)]
                    .map(|(seed, n)| noise(seed, n));
                let x_cpu: Features<Cpu, IN> = dev.tensor_from_vec(x.clone(), (batch, Const));
                let w_cpu: Tensor<Rank2<OUT, IN>, f32, Cpu> =
                    dev.tensor_from_vec(w.clone(), Default::default());
                let bias_cpu: Tensor<Rank1<OUT>, f32, Cpu> =
                    dev.tensor_from_vec(bias.clone(), Default::default());

                let mut y = vec![f32::NAN; batch * OUT];
                bias_rows(host, bias[..].into(), (&mut y[..]).into()).unwrap();
                multiply(&forward(sizes), &w, &x, &mut y);
                assert_close("y", &y, &dev.linear(&x_cpu, &w_cpu, Some(&bias_cpu)).unwrap().as_vec());

                let mut grad_y_cpu = dev.try_alloc_len(batch * OUT).unwrap();
                grad_y_cpu.copy_from_slice(&grad_y);
                let [mut gx_cpu, mut gw_cpu, mut gb_cpu] =
                    [batch * IN, OUT * IN, OUT].map(|n| dev.try_alloc_len(n).unwrap());
                let gradients = LinearGradients {
                    x: &mut gx_cpu,
                    weight: &mut gw_cpu,
                    bias: Some(&mut gb_cpu),
                    parts: 1,
                };
                dev.linear_backward(&x_cpu, &w_cpu, &grad_y_cpu, gradients).unwrap();
                let (mut gx, mut gw, mut gb) = (vec![0.0; batch * IN], vec![0.0; OUT * IN], vec![0.0; OUT]);
                multiply(&input_gradient(sizes), &w, &grad_y, &mut gx);
                multiply(&weight_gradient(sizes), &x, &grad_y, &mut gw);
                bias_gradient(host, grad_y[..].into(), (&mut gb[..]).into()).unwrap();
                assert_close("dx", &gx, &gx_cpu);
                assert_close("dW", &gw, &gw_cpu);
                assert_close("db", &gb, &gb_cpu);
            }
        });
    }
}
