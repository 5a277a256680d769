use dfdx::prelude::*;
use rayon::prelude::*;

use super::matrix::{Matrix, MatrixMut, Store};
use super::product::multiply;
use super::tensor_view::{values, values_mut};
use super::vectorized;
use crate::backend::{LinearGradients, LinearKernel};

/// Rows or columns of one part of a product.
const BLOCK: usize = 256;

impl LinearKernel for Cpu {
    fn linear<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        bias: Option<&Tensor<Rank1<OUT>, f32, Self>>,
    ) -> Result<Tensor<(usize, Const<OUT>), f32, Self>, Self::Err> {
        let batch = x.shape().0;
        let mut y = self.try_zeros_like(&(batch, Const))?;
        let out = values_mut(&mut y);
        if let Some(bias) = bias {
            out.chunks_mut(OUT).for_each(|row| row.copy_from_slice(values(bias)));
        }
        let x = Matrix::new(values(x), batch, IN, IN);
        let blocks = MatrixMut::new(out, batch, OUT, OUT).split_columns(BLOCK);
        blocks.into_par_iter().zip(values(weight).par_chunks(BLOCK * IN)).for_each(|(mut y, weight)| {
            multiply(&mut y, Store::Add, x, Matrix::new(weight, weight.len() / IN, IN, IN).t());
        });
        Ok(y)
    }

    fn linear_backward<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        grad_output: &Self::Vec,
        gradients: LinearGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        let batch = x.shape().0;
        let x = Matrix::new(values(x), batch, IN, IN);
        let weight = Matrix::new(values(weight), OUT, IN, IN);
        let grad_y = Matrix::new(grad_output, batch, OUT, OUT);

        gradients.weight.par_chunks_mut(BLOCK * IN).enumerate().for_each(|(block, grad)| {
            let rows = grad.len() / IN;
            let grad_y = grad_y.columns(block * BLOCK, block * BLOCK + rows);
            multiply(&mut MatrixMut::new(grad, rows, IN, IN), Store::Add, grad_y.t(), x);
        });
        let blocks = MatrixMut::new(gradients.x, batch, IN, IN).split_columns(BLOCK);
        blocks.into_par_iter().enumerate().for_each(|(block, mut grad)| {
            let columns = weight.columns(block * BLOCK, (block * BLOCK + BLOCK).min(IN));
            multiply(&mut grad, Store::Add, grad_y, columns);
        });
        if let Some(bias) = gradients.bias {
            vectorized(
                #[inline(always)]
                || {
                    for row in grad_output.chunks(OUT) {
                        bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                    }
                },
            );
        }
        Ok(())
    }
}
