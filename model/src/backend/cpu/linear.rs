use std::borrow::Cow;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::bf16::linear as tiled;
use super::by_parts;
use super::matrix::{Matrix, MatrixMut, Store};
use super::planes::factors;
use super::product::{Left, Right, multiply, multiply_packing, pack_panel};
use super::profile::{Work, record};
use super::tensor_view::{put, put_values, values, values_mut, written_or_added};
use super::tile::with_kernel;
use super::vectorized;
use crate::backend::{LinearGradients, LinearKernel};

/// Outputs of one part of the work: what two threads share evenly, and whose results stay in the first cache.
const BLOCK: usize = 32;

/// Inputs of one part of the input gradient: the weight's rows are read in runs of so many values.
fn input_block(inputs: usize) -> usize {
    (inputs / 16).next_multiple_of(48).clamp(48, 144)
}

impl LinearKernel for Cpu {
    fn linear<const IN: usize, const OUT: usize>(
        &self,
        x: &Tensor<(usize, Const<IN>), f32, Self>,
        weight: &Tensor<Rank2<OUT, IN>, f32, Self>,
        bias: Option<&Tensor<Rank1<OUT>, f32, Self>>,
    ) -> Result<Tensor<(usize, Const<OUT>), f32, Self>, Self::Err> {
        let batch = x.shape().0;
        let mut y = self.try_zeros_like(&(batch, Const))?;
        let (x, weight, bias, y_values) = (values(x), values(weight), bias.map(values), values_mut(&mut y));
        record("linear", shape::<IN, OUT>(batch), work::<IN, OUT>(batch), || {
            if let Some(engine) = tiled::engine() {
                tiled::forward(engine, IN, x, weight, bias, y_values);
            } else {
                forward(IN, &factors(x), &factors(weight), bias, y_values);
            }
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
        if batch == 0 {
            return Ok(());
        }
        let engine = tiled::engine();
        let round = |values| if engine.is_some() { Cow::Borrowed(values) } else { factors(values) };
        let (x, weight, grad_y) = (round(values(x)), round(values(weight)), round(&grad_output[..]));
        let (shape, work) = (shape::<IN, OUT>(batch), work::<IN, OUT>(batch));
        record("linear weight gradient", shape, work, || {
            by_parts(gradients.parts, [&x, &grad_y], gradients.weight, OUT * IN, |[x, grad_y], grad| {
                let sizes = [x.len() / IN, IN, OUT];
                match engine {
                    Some(engine) => tiled::add_weight_gradient(engine, sizes, x, grad_y, grad),
                    None => add_weight_gradient(sizes, x, grad_y, grad),
                }
            });
        });
        record("linear input gradient", shape, work, || {
            let sizes = [batch, IN, OUT];
            match engine {
                Some(engine) => tiled::add_input_gradient(engine, sizes, &weight, &grad_y, gradients.x),
                None => add_input_gradient(sizes, &weight, &grad_y, gradients.x),
            }
        });
        if let Some(bias) = gradients.bias {
            by_parts(gradients.parts, [grad_output], bias, OUT, |[grad_y], grad| {
                grad.resize(OUT, 0.0);
                add_bias_gradient(grad_y, grad);
            });
        }
        Ok(())
    }
}

// The kernels are behind functions without type parameters, so that they are compiled once, in this crate.

fn forward(inputs: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let (batch, outputs) = (x.len() / inputs, weight.len() / inputs);
    let blocks = MatrixMut::new(y, batch, outputs, outputs).split_columns(BLOCK);
    with_kernel!(kernel => {
        // y^T = W x^T reads the weight, the larger factor, where it is.
        let x = Right::new(kernel, Matrix::new(x, batch, inputs, inputs).t());
        let parts = blocks.into_par_iter().zip(weight.par_chunks(BLOCK * inputs));
        parts.enumerate().for_each(|(block, (mut y, weight))| {
            let outputs = weight.len() / inputs;
            let mut transposed = vec![0.0; outputs * batch];
            let weight = Left::InPlace(Matrix::new(weight, outputs, inputs, inputs));
            multiply(
                kernel,
                &weight,
                &x,
                #[inline(always)]
                |row, columns, results, store| {
                    put_values(&mut transposed[row * batch..][columns], results, store);
                },
            );
            for row in 0..batch {
                let y = y.row_mut(row, 0..outputs).iter_mut();
                y.zip(transposed.iter().skip(row).step_by(batch)).for_each(|(y, value)| *y = *value);
            }
            if let Some(bias) = bias {
                let bias = &bias[block * BLOCK..];
                (0..batch).for_each(|row| {
                    y.row_mut(row, 0..outputs).iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                });
            }
        });
    })
}

fn add_weight_gradient([batch, inputs, outputs]: [usize; 3], x: &[f32], grad_y: &[f32], grad: &mut Vec<f32>) {
    let x = Matrix::new(x, batch, inputs, inputs);
    let grad_y = Matrix::new(grad_y, batch, outputs, outputs);
    with_kernel!(kernel => {
        let right = Right::new(kernel, x);
        // SAFETY: the product's results are all of the weight's elements.
        unsafe {
            written_or_added(grad, outputs * inputs, |grad, store| {
                grad.par_chunks_mut(BLOCK * inputs).enumerate().for_each(|(block, grad)| {
                    let outputs = block * BLOCK..block * BLOCK + grad.len() / inputs;
                    let left = Left::new(kernel, grad_y.columns(outputs.start, outputs.end).t());
                    multiply(
                        kernel,
                        &left,
                        &right,
                        #[inline(always)]
                        |row, columns, results, later| {
                            let store = if store == Store::Add { store } else { later };
                            put(&mut grad[row * inputs..][columns], 1, results, store);
                        },
                    );
                });
            });
        }
    })
}

fn add_input_gradient(
    [batch, inputs, outputs]: [usize; 3],
    weight: &[f32],
    grad_y: &[f32],
    grad_x: &mut [f32],
) {
    let weight = Matrix::new(weight, outputs, inputs, inputs);
    let grad_y = Matrix::new(grad_y, batch, outputs, outputs);
    with_kernel!(kernel => {
        let left = Left::packed(kernel, grad_y);
        let width = input_block(inputs);
        let blocks = MatrixMut::new(grad_x, batch, inputs, inputs).split_columns(width);
        blocks.into_par_iter().enumerate().for_each(|(block, mut grad)| {
            let weight = weight.columns(block * width, (block * width + width).min(inputs));
            multiply_packing(
                kernel,
                &left,
                weight.cols,
                |k, columns, panel| pack_panel(kernel, weight, k, columns, panel),
                #[inline(always)]
                |row, columns, results, _| {
                    let to = grad.row_mut(row, columns).iter_mut();
                    to.zip(results).for_each(|(to, sum)| *to += sum);
                },
            );
        });
    })
}

fn add_bias_gradient(grad_y: &[f32], bias: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for row in grad_y.chunks(bias.len()) {
                bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        },
    );
}

fn shape<const IN: usize, const OUT: usize>(batch: usize) -> impl Fn() -> String + Copy {
    move || format!("{batch}x{IN} -> {OUT}")
}

fn work<const IN: usize, const OUT: usize>(batch: usize) -> Work {
    Work { flops: 2.0 * (batch * IN * OUT) as f64, values: batch * (IN + OUT) + IN * OUT }
}
