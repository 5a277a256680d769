use dfdx::prelude::*;
use rayon::prelude::*;

use super::tensor_view::{values, values_mut};
use super::vectorized;
use crate::backend::{
    Activation, BatchNormGradients, BatchNormKernel, BatchNormSaved, BatchStatistics, Normalization,
};

impl BatchNormKernel for Cpu {
    fn batch_norm_train<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &mut Tensor<C, f32, Self>,
        running_var: &mut Tensor<C, f32, Self>,
    ) -> Result<(Tensor<S, f32, Self>, BatchStatistics<C, Self>), Self::Err> {
        let layout = Layout::of(op.x);
        let sums = channel_sums(layout, values(op.x), values(op.x), None);
        let count = layout.count() as f64;

        let mut statistics = BatchStatistics {
            mean: self.try_zeros_like(running_mean)?,
            inv_std: self.try_zeros_like(running_var)?,
        };
        let (mean, inv_std) = (values_mut(&mut statistics.mean), values_mut(&mut statistics.inv_std));
        let (running_mean, running_var) = (values_mut(running_mean), values_mut(running_var));
        for (c, (sum, squares)) in sums.into_iter().enumerate() {
            let batch_mean = sum / count;
            let var = (squares / count - batch_mean * batch_mean).max(0.0);
            mean[c] = batch_mean as f32;
            inv_std[c] = (1.0 / (var + f64::from(Self::EPSILON)).sqrt()) as f32;

            let unbiased = var * count / (count - 1.0).max(1.0);
            running_mean[c] += Self::MOMENTUM * (batch_mean as f32 - running_mean[c]);
            running_var[c] += Self::MOMENTUM * (unbiased as f32 - running_var[c]);
        }

        let y = normalize(self, layout, op, mean, inv_std)?;
        Ok((y, statistics))
    }

    fn batch_norm_eval<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &Tensor<C, f32, Self>,
        running_var: &Tensor<C, f32, Self>,
    ) -> Result<Tensor<S, f32, Self>, Self::Err> {
        let inv_std: Vec<f32> =
            values(running_var).iter().map(|var| 1.0 / (var + Self::EPSILON).sqrt()).collect();
        normalize(self, Layout::of(op.x), op, values(running_mean), &inv_std)
    }

    fn batch_norm_backward<S: Shape, C: Shape>(
        &self,
        saved: &BatchNormSaved<'_, S, C, Self>,
        mut grad_output: Self::Vec,
        gradients: BatchNormGradients<'_, Self>,
    ) -> Result<(), Self::Err> {
        let layout = Layout::of(saved.x);
        let x = values(saved.x);
        undo_activation(saved.y.map(values), &mut grad_output, gradients.residual.map(|grad| &mut grad[..]));
        let grad: &[f32] = &grad_output;

        // With x' = (x - mean) inv_std:  dscale = sum dy x', dshift = sum dy,
        // dx = scale inv_std (dy - dshift / m - x' dscale / m).
        let (mean, inv_std) = (values(&saved.statistics.mean), values(&saved.statistics.inv_std));
        let sums = channel_sums(layout, grad, x, Some(mean));
        let count = layout.count() as f64;
        let scale = saved.scale.map(values);
        let terms: Vec<[f32; 4]> = (sums.iter().enumerate())
            .map(|(c, (sum, centred))| {
                let inv_std = f64::from(inv_std[c]);
                let factor = inv_std * scale.map_or(1.0, |scale| f64::from(scale[c]));
                let slope = -factor * inv_std * inv_std * centred / count;
                [f64::from(mean[c]), factor, slope, -factor * sum / count].map(|v| v as f32)
            })
            .collect();
        if let Some((grad_scale, grad_shift)) = gradients.affine {
            for (c, (sum, centred)) in sums.iter().enumerate() {
                grad_scale[c] += (centred * f64::from(inv_std[c])) as f32;
                grad_shift[c] += *sum as f32;
            }
        }
        layout.for_each_run(
            &mut gradients.x[..],
            #[inline(always)]
            |run, at, grad_x| {
                let inputs = grad[at..].iter().zip(&x[at..]);
                let step = |to: &mut f32, grad: &f32, x: &f32, [mean, factor, slope, offset]: [f32; 4]| {
                    *to += factor * grad + slope * (x - mean) + offset;
                };
                match run {
                    Run::Channel(c) => {
                        let terms = terms[c];
                        grad_x.iter_mut().zip(inputs).for_each(|(to, (grad, x))| step(to, grad, x, terms));
                    }
                    Run::AllChannels => {
                        let each = grad_x.iter_mut().zip(inputs).zip(&terms);
                        each.for_each(|((to, (grad, x)), terms)| step(to, grad, x, *terms));
                    }
                }
            },
        );
        Ok(())
    }
}

/// `y = act((x - mean) factor + shift + residual)` with the channel's `factor = scale inv_std`.
fn normalize<S: Shape, C: Shape>(
    dev: &Cpu,
    layout: Layout,
    op: &Normalization<'_, S, C, Cpu>,
    mean: &[f32],
    inv_std: &[f32],
) -> Result<Tensor<S, f32, Cpu>, CpuError> {
    let affine = op.affine.map(|(scale, shift)| (values(scale), values(shift)));
    let terms: Vec<[f32; 3]> = (0..layout.channels)
        .map(|c| {
            let (scale, shift) = affine.map_or((1.0, 0.0), |(scale, shift)| (scale[c], shift[c]));
            [mean[c], scale * inv_std[c], shift]
        })
        .collect();
    let floor = match op.activation {
        Activation::Identity => f32::NEG_INFINITY,
        Activation::Relu => 0.0,
    };

    let mut y = dev.try_zeros_like(op.x)?;
    let x = values(op.x);
    let residual = op.residual.map(values);
    layout.for_each_run(
        values_mut(&mut y),
        #[inline(always)]
        |run, at, y| {
            let x = &x[at..][..y.len()];
            match run {
                Run::Channel(c) => {
                    let [mean, factor, shift] = terms[c];
                    match residual {
                        Some(residual) => {
                            for ((y, x), residual) in y.iter_mut().zip(x).zip(&residual[at..]) {
                                *y = ((x - mean) * factor + shift + residual).max(floor);
                            }
                        }
                        None => y
                            .iter_mut()
                            .zip(x)
                            .for_each(|(y, x)| *y = ((x - mean) * factor + shift).max(floor)),
                    }
                }
                Run::AllChannels => {
                    for ((y, x), [mean, factor, shift]) in y.iter_mut().zip(x).zip(&terms) {
                        *y = (x - mean) * factor + shift;
                    }
                    if let Some(residual) = residual {
                        y.iter_mut().zip(&residual[at..]).for_each(|(y, residual)| *y += residual);
                    }
                    y.iter_mut().for_each(|y| *y = y.max(floor));
                }
            }
        },
    );
    Ok(y)
}

/// Clears the gradient where the output `y` of a ReLU is 0, and adds what is left to the residual's gradient.
fn undo_activation(y: Option<&[f32]>, grad: &mut [f32], residual: Option<&mut [f32]>) {
    const CHUNK: usize = 1 << 14;
    if let Some(y) = y {
        let mask = |(grad, y): (&mut [f32], &[f32])| {
            vectorized(
                #[inline(always)]
                || {
                    grad.iter_mut().zip(y).for_each(|(grad, y)| *grad = if *y > 0.0 { *grad } else { 0.0 });
                },
            );
        };
        grad.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(mask);
    }
    if let Some(residual) = residual {
        residual.par_chunks_mut(CHUNK).zip(grad.par_chunks(CHUNK)).for_each(|(to, grad)| {
            vectorized(
                #[inline(always)]
                || to.iter_mut().zip(grad).for_each(|(to, grad)| *to += grad),
            );
        });
    }
}

/// For each channel the sums of `a` and of `a (b - shift)`, in f64.
///
/// One thread adds up a channel's values in their order, so the sums don't depend on the number of threads.
fn channel_sums(layout: Layout, a: &[f32], b: &[f32], shift: Option<&[f32]>) -> Vec<(f64, f64)> {
    let shift = |c: usize| shift.map_or(0.0, |shift| shift[c]);
    let Layout { batch, channels, plane } = layout;
    if plane > 1 {
        let channel_sum = |c: usize| {
            vectorized(
                #[inline(always)]
                || {
                    let mut sums = [[0.0; LANES]; 2];
                    for image in 0..batch {
                        let at = (image * channels + c) * plane;
                        add_run(&mut sums, &a[at..][..plane], &b[at..][..plane], shift(c));
                    }
                    (sums[0].iter().sum(), sums[1].iter().sum())
                },
            )
        };
        return (0..channels).into_par_iter().map(channel_sum).collect();
    }
    const BLOCK: usize = 64;
    let mut sums = vec![(0.0, 0.0); channels];
    sums.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sums)| {
        vectorized(
            #[inline(always)]
            || {
                let from = block * BLOCK;
                for image in 0..batch {
                    let at = image * channels + from;
                    for (i, (sum, (a, b))) in sums.iter_mut().zip(a[at..].iter().zip(&b[at..])).enumerate() {
                        sum.0 += f64::from(*a);
                        sum.1 += f64::from(*a) * f64::from(b - shift(from + i));
                    }
                }
            },
        );
    });
    sums
}

/// Independent sums of one channel, so that additions overlap.
const LANES: usize = 16;

#[inline(always)]
fn add_run(sums: &mut [[f64; LANES]; 2], a: &[f32], b: &[f32], shift: f32) {
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[0][lane] += f64::from(a[lane]);
            sums[1][lane] += f64::from(a[lane]) * f64::from(b[lane] - shift);
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[0][lane] += f64::from(*a);
        sums[1][lane] += f64::from(*a) * f64::from(b - shift);
    }
}

/// How a tensor's values lie: `batch x channels x plane`.
#[derive(Clone, Copy)]
struct Layout {
    batch: usize,
    channels: usize,
    plane: usize,
}

/// Which channels neighbouring values belong to.
enum Run {
    /// All to this one.
    Channel(usize),
    /// One to each, in order.
    AllChannels,
}

impl Layout {
    fn of<S: Shape>(x: &Tensor<S, f32, Cpu>) -> Self {
        let sizes = x.shape().concrete();
        let sizes = sizes.as_ref();
        Self { batch: sizes[0], channels: sizes[1], plane: sizes[2..].iter().product() }
    }

    /// Values of one channel.
    fn count(&self) -> usize {
        self.batch * self.plane
    }

    /// Calls `f(channels, first index, values)` for every run of `values`, in parallel over the batch.
    fn for_each_run(&self, values: &mut [f32], f: impl Fn(Run, usize, &mut [f32]) + Sync) {
        let image = self.channels * self.plane;
        values.par_chunks_mut(image).enumerate().for_each(|(i, values)| {
            vectorized(
                #[inline(always)]
                || match self.plane {
                    1 => f(Run::AllChannels, i * image, values),
                    plane => {
                        for (c, values) in values.chunks_mut(plane).enumerate() {
                            f(Run::Channel(c), i * image + c * plane, values);
                        }
                    }
                },
            );
        });
    }
}
