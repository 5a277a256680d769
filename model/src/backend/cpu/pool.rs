use std::ops::Range;

use dfdx::prelude::*;
use rayon::prelude::*;

use super::tensor_view::{values, values_mut};
use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel, PoolGeometry};

impl MaxPoolKernel for Cpu {
    fn max_pool<X: Shape, Y: Shape>(
        &self,
        g: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let inputs = values(x).par_chunks(g.in_size * g.in_size);
        values_mut(&mut y).par_chunks_mut(g.out_size * g.out_size).zip(inputs).for_each(|(y, x)| {
            for (at, y) in y.iter_mut().enumerate() {
                *y = x[largest(g, x, at)];
            }
        });
        Ok(y)
    }

    fn max_pool_backward<X: Shape>(
        &self,
        g: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let planes =
            values(x).par_chunks(g.in_size * g.in_size).zip(grad_output.par_chunks(g.out_size * g.out_size));
        grad_x.par_chunks_mut(g.in_size * g.in_size).zip(planes).for_each(|(grad_x, (x, grad_y))| {
            for (at, grad_y) in grad_y.iter().enumerate() {
                grad_x[largest(g, x, at)] += grad_y;
            }
        });
        Ok(())
    }
}

/// The index of the largest value of the window of output `at` in the plane `x`; NaN counts as largest.
fn largest(g: &PoolGeometry, x: &[f32], at: usize) -> usize {
    let inside = |at: usize| -> Range<usize> {
        let from = at * g.stride;
        from.saturating_sub(g.pad)..(from + g.kernel - g.pad).min(g.in_size)
    };
    let (rows, columns) = (inside(at / g.out_size), inside(at % g.out_size));
    let mut best = rows.start * g.in_size + columns.start;
    for y in rows {
        for i in y * g.in_size + columns.start..y * g.in_size + columns.end {
            if x[i] > x[best] || x[i].is_nan() {
                best = i;
            }
        }
    }
    best
}

impl GlobalAvgPoolKernel for Cpu {
    fn global_avg_pool<X: Shape, Y: Shape>(
        &self,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let x = values(x);
        let y_values = values_mut(&mut y);
        let plane = x.len() / y_values.len().max(1);
        y_values.par_iter_mut().zip(x.par_chunks(plane.max(1))).with_min_len(64).for_each(|(y, x)| {
            *y = (x.iter().map(|v| f64::from(*v)).sum::<f64>() / plane as f64) as f32;
        });
        Ok(y)
    }

    fn global_avg_pool_backward(
        &self,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let plane = grad_x.len() / grad_output.len().max(1);
        grad_x.par_chunks_mut(plane.max(1)).zip(&grad_output[..]).with_min_len(64).for_each(
            |(grad_x, grad_y)| {
                let share = grad_y / plane as f32;
                grad_x.iter_mut().for_each(|v| *v += share);
            },
        );
        Ok(())
    }
}
