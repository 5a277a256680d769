use dfdx::prelude::*;
use rayon::prelude::*;

use super::planes::Planes;
use super::profile::{Work, record};
use super::tensor_view::{take_every, values, values_mut};
use super::vectorized;
use crate::backend::{GlobalAvgPoolKernel, MaxPoolKernel, PoolGeometry};

impl MaxPoolKernel for Cpu {
    fn max_pool<X: Shape, Y: Shape>(
        &self,
        g: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let x = Planes::of(x.shape(), g.channels).read(values(x));
        let inputs = x.par_chunks(g.in_size * g.in_size);
        // SAFETY: the rows of windows are all of the output's elements.
        record("max pool", shape(g, inputs.len()), work(g, inputs.len()), || unsafe {
            Planes::of(&output, g.channels).written(self, output, |y| {
                y.par_chunks_mut(g.out_size * g.out_size).zip(inputs).for_each_init(
                    || Largest::new(g),
                    |largest, (y, x)| {
                        for (row, y) in y.chunks_exact_mut(g.out_size).enumerate() {
                            largest.find(g, x, row);
                            y.write_copy_of_slice(&largest.values[..g.out_size]);
                        }
                    },
                );
            })
        })
    }

    fn max_pool_backward<X: Shape>(
        &self,
        g: &PoolGeometry,
        x: &Tensor<X, f32, Self>,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let planes = Planes::of(x.shape(), g.channels);
        let grad_output = planes.resized(g.channels, g.out_size).read(grad_output);
        let x = planes.read(values(x));
        let operands =
            x.par_chunks(g.in_size * g.in_size).zip(grad_output.par_chunks(g.out_size * g.out_size));
        record("max pool gradient", shape(g, operands.len()), work(g, operands.len()), || {
            planes.change(grad_x, |grad_x| {
                grad_x.par_chunks_mut(g.in_size * g.in_size).zip(operands).for_each_init(
                    || Largest::new(g),
                    |largest, (grad_x, (x, grad_y))| {
                        for (row, grad_y) in grad_y.chunks_exact(g.out_size).enumerate() {
                            largest.find(g, x, row);
                            for (at, grad_y) in largest.places.iter().zip(grad_y) {
                                grad_x[*at as usize] += grad_y;
                            }
                        }
                    },
                );
            });
        });
        Ok(())
    }
}

/// Windows that are looked at together.
const LANES: usize = 16;

/// The largest value of each window of one row of windows, and where it is in the plane; NaN counts as largest.
struct Largest {
    values: Vec<f32>,
    places: Vec<u32>,
    /// Each row under the windows between minus infinities, as one run for each residue of the stride: the values
    /// under one column of neighbouring windows are neighbours.
    runs: Vec<f32>,
    run: usize,
}

impl Largest {
    fn new(g: &PoolGeometry) -> Self {
        let windows = g.out_size.next_multiple_of(LANES);
        let run = windows + g.kernel.div_ceil(g.stride);
        Self {
            values: vec![0.0; windows],
            places: vec![0; windows],
            runs: vec![f32::NEG_INFINITY; g.kernel * g.stride * run],
            run,
        }
    }

    fn find(&mut self, g: &PoolGeometry, x: &[f32], row: usize) {
        let top = row * g.stride;
        let rows = top.saturating_sub(g.pad)..(top + g.kernel - g.pad).min(g.in_size);
        vectorized(
            #[inline(always)]
            || {
                for (y, runs) in rows.clone().zip(self.runs.chunks_exact_mut(g.stride * self.run)) {
                    let line = &x[y * g.in_size..][..g.in_size];
                    for (residue, run) in runs.chunks_exact_mut(self.run).enumerate() {
                        // The first value of this residue that is not padding.
                        let first = (residue + g.stride - g.pad % g.stride) % g.stride;
                        let run = &mut run[(first + g.pad) / g.stride..];
                        take_every(g.stride, &line[first.min(line.len())..], run);
                    }
                }
                self.compare(g, rows);
            },
        );
    }

    #[inline(always)]
    fn compare(&mut self, g: &PoolGeometry, rows: std::ops::Range<usize>) {
        let Self { values, places, runs, run } = self;
        let (values, _) = values.as_chunks_mut::<LANES>();
        let (places, _) = places.as_chunks_mut::<LANES>();
        for (chunk, (values, places)) in values.iter_mut().zip(places).enumerate() {
            let columns: [usize; LANES] = std::array::from_fn(
                #[inline(always)]
                |lane| (chunk * LANES + lane) * g.stride,
            );
            // In registers until all taps have passed: where the compiler stores them by a mask, that is slow.
            let mut largest = [f32::NEG_INFINITY; LANES];
            let mut at = columns.map(
                #[inline(always)]
                |column| (rows.start * g.in_size + column.saturating_sub(g.pad)) as u32,
            );
            for (y, runs) in rows.clone().zip(runs.chunks_exact(g.stride * *run)) {
                for tap in 0..g.kernel {
                    let run = &runs[tap % g.stride * *run + tap / g.stride..][chunk * LANES..][..LANES];
                    for lane in 0..LANES {
                        let is_larger = run[lane] > largest[lane] || run[lane].is_nan();
                        largest[lane] = if is_larger { run[lane] } else { largest[lane] };
                        let place = (y * g.in_size + columns[lane] + tap).wrapping_sub(g.pad) as u32;
                        at[lane] = if is_larger { place } else { at[lane] };
                    }
                }
            }
            (*values, *places) = (largest, at);
        }
    }
}

fn shape(g: &PoolGeometry, planes: usize) -> impl Fn() -> String {
    move || format!("{planes}x{0}x{0}, {1}x{1} / {2}", g.in_size, g.kernel, g.stride)
}

fn work(g: &PoolGeometry, planes: usize) -> Work {
    let (read, written) = (g.in_size * g.in_size, g.out_size * g.out_size);
    Work { flops: (planes * written * g.kernel * g.kernel) as f64, values: planes * (read + written) }
}

impl GlobalAvgPoolKernel for Cpu {
    fn global_avg_pool<X: Shape, Y: Shape>(
        &self,
        x: &Tensor<X, f32, Self>,
        output: Y,
    ) -> Result<Tensor<Y, f32, Self>, Self::Err> {
        let mut y = self.try_zeros_like(&output)?;
        let x = Planes::of(x.shape(), output.concrete().as_ref()[1]).read(values(x));
        let y_values = values_mut(&mut y);
        let plane = x.len() / y_values.len().max(1);
        let work = Work { flops: x.len() as f64, values: x.len() + y_values.len() };
        record(
            "average pool",
            || format!("{}x{plane}", x.len() / plane.max(1)),
            work,
            || {
                y_values.par_iter_mut().zip(x.par_chunks(plane.max(1))).with_min_len(64).for_each(
                    |(y, x)| {
                        *y = (sum(x) / plane as f64) as f32;
                    },
                );
            },
        );
        Ok(y)
    }

    fn global_avg_pool_backward<X: Shape>(
        &self,
        x: &X,
        channels: usize,
        grad_output: &Self::Vec,
        grad_x: &mut Self::Vec,
    ) -> Result<(), Self::Err> {
        let sizes = x.concrete();
        let plane: usize = sizes.as_ref()[2..].iter().product();
        let planes = Planes::of(x, channels);
        let inputs = grad_output.len() * plane;
        let work = Work { flops: inputs as f64, values: inputs + grad_output.len() };
        let shape = || format!("{}x{plane}", grad_output.len());
        record("average pool gradient", shape, work, || {
            planes.change(grad_x, |grad_x| {
                let planes = grad_x.par_chunks_mut(plane.max(1)).zip(&grad_output[..]).with_min_len(64);
                planes.for_each(|(grad_x, grad_y)| {
                    let share = grad_y / plane as f32;
                    grad_x.iter_mut().for_each(|v| *v += share);
                });
            });
        });
        Ok(())
    }
}

/// The sum of a plane, as independent sums.
fn sum(x: &[f32]) -> f64 {
    const LANES: usize = 8;
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v)).sum::<f64>()
}
