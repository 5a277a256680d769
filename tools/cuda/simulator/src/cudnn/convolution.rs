//! What a convolution computes, in a row of outputs after another.

use std::ops::Range;

use super::{BFLOAT16, FLOAT, FMA_MATH, NHWC};
use crate::cublas::tf32;
use crate::memory::{Address, Fault, Memory};

/// Images or filters: their sizes are batch or outputs, channels, height and width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tensor {
    pub format: i32,
    pub ty: i32,
    pub sizes: [usize; 4],
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Convolution {
    pub pad: [usize; 2],
    pub stride: [usize; 2],
    pub math: i32,
}

impl Tensor {
    fn len(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Where a value lies.
    fn at(&self, [n, c, y, x]: [usize; 4]) -> usize {
        let [_, channels, height, width] = self.sizes;
        match self.format {
            NHWC => ((n * height + y) * width + x) * channels + c,
            _ => ((n * channels + c) * height + y) * width + x,
        }
    }

    /// Where each value lies, in the order of NCHW.
    fn places(&self) -> impl Iterator<Item = usize> {
        let [n, c, h, w] = self.sizes;
        (0..n * c * h * w).map(move |i| self.at([i / (c * h * w), i / (h * w) % c, i / w % h, i % w]))
    }

    /// The values, in the order of NCHW.
    fn read(&self, memory: &Memory, address: Address) -> Result<Vec<f32>, Fault> {
        let stored = match self.ty {
            BFLOAT16 => memory.halves(address, self.len())?,
            _ => memory.floats(address, self.len())?,
        };
        Ok(self.places().map(|at| stored[at]).collect())
    }

    fn write(&self, memory: &mut Memory, address: Address, values: &[f32]) -> Result<(), Fault> {
        let mut stored = vec![0.0; values.len()];
        self.places().zip(values).for_each(|(at, value)| stored[at] = *value);
        match self.ty {
            BFLOAT16 => memory.write_halves(address, &stored),
            _ => memory.write_floats(address, &stored),
        }
    }
}

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub enum Direction {
    Forward,
    Data,
    Filter,
}

/// `result = alpha result + beta before`.
pub struct Run {
    pub direction: Direction,
    pub convolution: Convolution,
    pub x: (Tensor, Address),
    pub weight: (Tensor, Address),
    pub y: (Tensor, Address),
    pub alpha: f32,
    pub beta: f32,
    pub workspace: (Address, usize),
}

impl Convolution {
    /// The output's sizes.
    fn output(&self, x: &Tensor, weight: &Tensor) -> [usize; 4] {
        let size = |i: usize| {
            let beyond = (x.sizes[2 + i] + 2 * self.pad[i]).checked_sub(weight.sizes[2 + i]);
            beyond.map_or(0, |beyond| beyond / self.stride[i] + 1)
        };
        [x.sizes[0], weight.sizes[0], size(0), size(1)]
    }

    pub fn fits(&self, x: &Tensor, weight: &Tensor, y: &Tensor) -> bool {
        let alike = [weight, y].iter().all(|other| (other.format, other.ty) == (x.format, x.ty));
        alike && x.sizes[1] == weight.sizes[1] && self.output(x, weight) == y.sizes
    }

    /// Outputs of an axis whose input at a filter's place is inside.
    fn inside(&self, axis: usize, tap: usize, input: usize, outputs: usize) -> Range<usize> {
        let (pad, stride) = (self.pad[axis], self.stride[axis]);
        let from = pad.saturating_sub(tap).div_ceil(stride);
        // The last output's input is below the input's size.
        let to = (input + pad).checked_sub(tap + 1).map_or(0, |last| last / stride + 1);
        from..to.min(outputs).max(from)
    }
}

impl Run {
    pub fn run(self, memory: &mut Memory) -> Result<(), Fault> {
        memory.forget(self.workspace.0, self.workspace.1)?;
        let rounded = |mut values: Vec<f32>| {
            if self.x.0.ty == FLOAT && self.convolution.math != FMA_MATH {
                values.iter_mut().for_each(|value| *value = tf32(*value));
            }
            values
        };
        let read = |(tensor, address): (Tensor, Address)| tensor.read(memory, address).map(rounded);
        let zeros = |(tensor, _): (Tensor, Address)| vec![0.0; tensor.len()];
        let (to, mut values) = match self.direction {
            Direction::Forward => {
                let (x, weight, mut y) = (read(self.x)?, read(self.weight)?, zeros(self.y));
                self.rows(|tap, from, stride, to| match stride {
                    1 => add(y[to].iter_mut(), weight[tap], x[from..].iter()),
                    _ => add(y[to].iter_mut(), weight[tap], x[from..].iter().step_by(stride)),
                });
                (self.y, y)
            }
            Direction::Data => {
                let (mut x, weight, y) = (zeros(self.x), read(self.weight)?, read(self.y)?);
                self.rows(|tap, from, stride, to| match stride {
                    1 => add(x[from..].iter_mut(), weight[tap], y[to].iter()),
                    _ => add(x[from..].iter_mut().step_by(stride), weight[tap], y[to].iter()),
                });
                (self.x, x)
            }
            Direction::Filter => {
                let (x, mut weight, y) = (read(self.x)?, zeros(self.weight), read(self.y)?);
                self.rows(|tap, from, stride, to| {
                    let to = &y[to];
                    weight[tap] +=
                        to.iter().zip(x[from..].iter().step_by(stride)).map(|(y, x)| y * x).sum::<f32>();
                });
                (self.weight, weight)
            }
        };
        values.iter_mut().for_each(|value| *value *= self.alpha);
        if self.beta != 0.0 {
            let before = to.0.read(memory, to.1)?;
            values.iter_mut().zip(before).for_each(|(value, before)| *value += self.beta * before);
        }
        to.0.write(memory, to.1, &values)
    }

    /// Calls with a filter's place, the first input of a row and the inputs' distance, and the row's outputs.
    fn rows(&self, mut row: impl FnMut(usize, usize, usize, Range<usize>)) {
        let Self { convolution, x: (x, _), weight: (weight, _), y: (y, _), .. } = self;
        let [batch, in_channels, height, width] = x.sizes;
        let [_, out_channels, out_height, out_width] = y.sizes;
        let [_, _, kernel_height, kernel_width] = weight.sizes;
        let [stride_y, stride_x] = convolution.stride;
        for n in 0..batch {
            for (o, i) in (0..out_channels).flat_map(|o| (0..in_channels).map(move |i| (o, i))) {
                for (ky, kx) in (0..kernel_height).flat_map(|ky| (0..kernel_width).map(move |kx| (ky, kx))) {
                    let tap = ((o * in_channels + i) * kernel_height + ky) * kernel_width + kx;
                    let columns = convolution.inside(1, kx, width, out_width);
                    if columns.is_empty() {
                        continue;
                    }
                    let in_x = columns.start * stride_x + kx - convolution.pad[1];
                    for out_y in convolution.inside(0, ky, height, out_height) {
                        let in_y = out_y * stride_y + ky - convolution.pad[0];
                        let from = ((n * in_channels + i) * height + in_y) * width + in_x;
                        let to = ((n * out_channels + o) * out_height + out_y) * out_width;
                        row(tap, from, stride_x, to + columns.start..to + columns.end);
                    }
                }
            }
        }
    }
}

/// Adds so many times some values; written for each way of stepping, so that the compiler makes vectors of the usual one.
fn add<'a, 'b>(to: impl Iterator<Item = &'a mut f32>, factor: f32, from: impl Iterator<Item = &'b f32>) {
    to.zip(from).for_each(|(to, from)| *to += factor * from);
}
