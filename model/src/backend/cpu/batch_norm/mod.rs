//! Batch norm: statistics, then results. Images of single precision are processed plane by plane, those of bf16 by runs of pixels,
//! features by blocks of channels.

use std::mem::MaybeUninit;

use bytemuck::{Pod, Zeroable};
use dfdx::prelude::*;

use super::bf16::batch_norm as packed;
use super::parts::part_of;
use super::planes::Planes;
use super::profile::{Work, record};
use super::tensor_view::{add, values, values_mut, written};
use crate::backend::{
    Activation, BatchNormGradients, BatchNormKernel, BatchNormSaved, BatchStatistics, Format, Normalization,
};
use crate::collective::Ranks;

mod features;

mod images;

mod sums;

impl BatchNormKernel for Cpu {
    fn batch_norm_train<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &mut Tensor<C, f32, Self>,
        running_var: &mut Tensor<C, f32, Self>,
        ranks: &Ranks,
    ) -> Result<(Tensor<S, f32, Self>, BatchStatistics<C, Self>), Self::Err> {
        let mut statistics = BatchStatistics {
            mean: self.try_zeros_like(running_mean)?,
            inv_std: self.try_zeros_like(running_var)?,
        };
        let channels = running_mean.shape().num_elements();
        let given =
            (!ranks.is_trivial()).then(|| moments_over(ranks, Extents::of(op.x, channels), values(op.x)));
        let (y, moments) = normalize(self, "batch norm", channels, op, given.as_deref())?;

        let (mean, inv_std) = (values_mut(&mut statistics.mean), values_mut(&mut statistics.inv_std));
        let (running_mean, running_var) = (values_mut(running_mean), values_mut(running_var));
        let count = (Extents::of(op.x, channels).count() * ranks.size()) as f64;
        for (c, moments) in moments.iter().enumerate() {
            mean[c] = moments.mean as f32;
            inv_std[c] = moments.inv_std();
            let unbiased = moments.var * count / (count - 1.0).max(1.0);
            running_mean[c] += Self::MOMENTUM * (moments.mean as f32 - running_mean[c]);
            running_var[c] += Self::MOMENTUM * (unbiased as f32 - running_var[c]);
        }
        Ok((y, statistics))
    }

    fn batch_norm_eval<S: Shape, C: Shape>(
        &self,
        op: &Normalization<'_, S, C, Self>,
        running_mean: &Tensor<C, f32, Self>,
        running_var: &Tensor<C, f32, Self>,
    ) -> Result<Tensor<S, f32, Self>, Self::Err> {
        let each = values(running_mean).iter().zip(values(running_var));
        let moments: Vec<Moments> =
            each.map(|(mean, var)| Moments { mean: f64::from(*mean), var: f64::from(*var) }).collect();
        let y = normalize(self, "batch norm, evaluation", moments.len(), op, Some(&moments));
        y.map(|(y, _)| y)
    }

    fn batch_norm_backward<S: Shape, C: Shape>(
        &self,
        saved: &BatchNormSaved<'_, S, C, Self>,
        grad_output: &mut Self::Vec,
        gradients: BatchNormGradients<'_, Self>,
        ranks: &Ranks,
    ) -> Result<(), Self::Err> {
        let channels = saved.statistics.mean.shape().num_elements();
        let layout = Extents::of(saved.x, channels);
        let backward = Backward {
            x: values(saved.x),
            mask: match (saved.activation, saved.y) {
                (Activation::Identity, _) => Mask::Open,
                (Activation::Relu, Some(y)) => Mask::Output(values(y)),
                (Activation::Relu, None) => Mask::Input,
            },
            mean: values(&saved.statistics.mean),
            inv_std: values(&saved.statistics.inv_std),
            affine: saved.affine.map(|(scale, shift)| (values(scale), values(shift))),
            count: (layout.count() * ranks.size()) as f64,
        };
        let operands = 3 + usize::from(saved.y.is_some()) + 2 * usize::from(gradients.residual.is_some());
        let mut own = Vec::new();
        layout.record("batch norm gradient", operands, || {
            own = gradient_sums(layout, &backward, grad_output, ranks.parts());
            let sums = total(channels, &ranks.all_gather(&own));
            let terms: Vec<_> = sums.iter().enumerate().map(|(c, sums)| backward.terms(c, sums)).collect();
            let residual = gradients.residual.map(|residual| &mut residual[..]);
            match layout.kind {
                Kind::Features => features::differentiate(layout, backward.x, &terms, grad_output, residual),
                Kind::Images => images::differentiate(layout, &backward, &terms, grad_output, residual),
                Kind::Packed => packed::differentiate(layout, &backward, &terms, grad_output, residual),
            }
        });
        if let Some((grad_scale, grad_shift)) = gradients.affine {
            grad_scale.resize(own.len(), 0.0);
            grad_shift.resize(own.len(), 0.0);
            for (i, sums) in own.iter().enumerate() {
                grad_scale[i] += (sums.centred * f64::from(backward.inv_std[i % channels])) as f32;
                grad_shift[i] += sums.plain as f32;
            }
        }
        if let Some(input) = gradients.input {
            let planes = Planes::of(saved.x.shape(), channels);
            planes.change(input, |input| add(input, &planes.read(grad_output)));
        }
        Ok(())
    }
}

/// The normalised values and the moments that they were normalised by: those that are given, or the batch's.
#[allow(clippy::type_complexity, reason = "a tensor and what goes with it")]
fn normalize<S: Shape, C: Shape>(
    dev: &Cpu,
    operation: &'static str,
    channels: usize,
    op: &Normalization<'_, S, C, Cpu>,
    given: Option<&[Moments]>,
) -> Result<(Tensor<S, f32, Cpu>, Vec<Moments>), CpuError> {
    let layout = Extents::of(op.x, channels);
    let forward = Forward::of(op);
    let mut moments = Vec::new();
    let mut write = |y: &mut [MaybeUninit<f32>]| {
        moments = match layout.kind {
            Kind::Features => features::normalize(layout, &forward, given, y),
            Kind::Images => images::normalize(layout, &forward, given, y),
            Kind::Packed => packed::normalize(layout, &forward, given, y),
        };
    };
    // SAFETY: the planes, or the blocks of rows or pixels, are all of the elements, and each is written.
    let y = layout
        .record(operation, forward.operands(), || unsafe { written(dev, *op.x.shape(), &mut write) })?;
    Ok((y, moments))
}

/// Every channel's moments over the ranks' batches, by those of their parts (Chan, Golub & LeVeque 1983).
fn moments_over(ranks: &Ranks, layout: Extents, x: &[f32]) -> Vec<Moments> {
    let parts = ranks.parts();
    let part = layout.part_of(parts);
    let own = (0..parts).flat_map(|i| match layout.kind {
        Kind::Features => features::moments(part, part_of(x, i, parts)),
        Kind::Images => images::moments(part, part_of(x, i, parts)),
        Kind::Packed => packed::moments(part, part_of(x, i, parts)),
    });
    let all = ranks.all_gather(&own.collect::<Vec<_>>());
    let share = layout.channels as f64 / all.len() as f64;
    let of_channel = |c: usize| {
        let parts = all.iter().skip(c).step_by(layout.channels);
        let mean = parts.clone().map(|part| part.mean).sum::<f64>() * share;
        let var = parts.map(|part| part.var + (part.mean - mean).powi(2)).sum::<f64>() * share;
        Moments { mean, var }
    };
    (0..layout.channels).map(of_channel).collect()
}

/// The sums of every channel for each part of the batch, one part's after the other's.
fn gradient_sums(layout: Extents, op: &Backward<'_>, grad: &mut [f32], parts: usize) -> Vec<GradientSums> {
    let part = layout.part_of(parts);
    let grads = grad.chunks_mut((grad.len() / parts).max(1)).enumerate();
    let sums = grads.flat_map(|(i, grad)| match layout.kind {
        Kind::Features => features::gradient_sums(part, &op.part(i, parts), grad),
        Kind::Images => images::gradient_sums(part, &op.part(i, parts), grad),
        Kind::Packed => packed::gradient_sums(part, &op.part(i, parts), grad),
    });
    sums.collect()
}

/// Two sums for each channel over all parts of the work, in their order.
pub(super) fn add_up(channels: usize, parts: &[Vec<[f64; 2]>]) -> Vec<[f64; 2]> {
    let mut totals = vec![[0.0; 2]; channels];
    for part in parts {
        for (total, [first, second]) in totals.iter_mut().zip(part) {
            *total = [total[0] + first, total[1] + second];
        }
    }
    totals
}

/// Every channel's sums over all parts.
fn total(channels: usize, parts: &[GradientSums]) -> Vec<GradientSums> {
    let mut totals = vec![GradientSums::zeroed(); channels];
    for part in parts.chunks_exact(channels.max(1)) {
        for (total, part) in totals.iter_mut().zip(part) {
            total.plain += part.plain;
            total.centred += part.centred;
        }
    }
    totals
}

/// A tensor's sizes, `batch x channels x plane`, and how its values lie.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    batch: usize,
    pub(super) channels: usize,
    plane: usize,
    kind: Kind,
}

/// What is normalised.
#[derive(Clone, Copy)]
enum Kind {
    Features,
    Images,
    /// Images of [`Format::Bf16`].
    Packed,
}

impl Extents {
    fn of<S: Shape>(x: &Tensor<S, f32, Cpu>, channels: usize) -> Self {
        let sizes = x.shape().concrete();
        let sizes = sizes.as_ref();
        let plane = sizes[2..].iter().product();
        let kind = match (Format::of_sizes(channels, sizes), plane) {
            (Format::Bf16, _) => Kind::Packed,
            (Format::F32, 1) => Kind::Features,
            (Format::F32, _) => Kind::Images,
        };
        Self { batch: sizes[0], channels, plane, kind }
    }

    /// Of one of so many equal parts of the batch.
    ///
    /// # Panics
    /// If it cannot be divided so.
    fn part_of(&self, parts: usize) -> Self {
        assert!(self.batch.is_multiple_of(parts), "{} images in {parts} equal parts", self.batch);
        Self { batch: self.batch / parts, ..*self }
    }

    /// Values of one channel.
    pub(super) fn count(&self) -> usize {
        self.batch * self.plane
    }

    fn record<R>(&self, operation: &'static str, operands: usize, call: impl FnOnce() -> R) -> R {
        let Self { batch, channels, plane, .. } = *self;
        let values = batch * channels * plane;
        let work = Work { flops: 4.0 * values as f64, values: operands * values };
        record(operation, || format!("{batch}x{channels}x{plane}"), work, call)
    }
}

/// Mean and biased variance of a channel.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Moments {
    mean: f64,
    var: f64,
}

impl Moments {
    /// Of `count` values whose differences from `origin` have this sum and sum of squares.
    pub(super) fn of_sums(origin: f32, sum: f64, squares: f64, count: f64) -> Self {
        let mean = sum / count;
        Self { mean: f64::from(origin) + mean, var: (squares / count - mean * mean).max(0.0) }
    }

    fn inv_std(&self) -> f32 {
        (1.0 / (self.var + f64::from(Cpu::EPSILON)).sqrt()) as f32
    }
}

/// `y = max((x - mean) factor + shift + residual, floor)`.
pub(super) struct Forward<'a> {
    pub(super) x: &'a [f32],
    pub(super) residual: Option<&'a [f32]>,
    affine: Option<(&'a [f32], &'a [f32])>,
    pub(super) floor: f32,
}

/// The numbers of one channel's `(x - mean) factor + shift`.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) mean: f32,
    pub(super) factor: f32,
    pub(super) shift: f32,
}

impl Terms {
    fn new(c: usize, mean: f32, inv_std: f32, affine: Option<(&[f32], &[f32])>) -> Self {
        let (scale, shift) = affine.map_or((1.0, 0.0), |(scale, shift)| (scale[c], shift[c]));
        Self { mean, factor: scale * inv_std, shift }
    }

    #[inline(always)]
    pub(super) fn normalized(&self, x: f32) -> f32 {
        (x - self.mean) * self.factor + self.shift
    }
}

impl<'a> Forward<'a> {
    fn of<S: Shape, C: Shape>(op: &Normalization<'a, S, C, Cpu>) -> Self {
        let floor = match op.activation {
            Activation::Identity => f32::NEG_INFINITY,
            Activation::Relu => 0.0,
        };
        let affine = op.affine.map(|(scale, shift)| (values(scale), values(shift)));
        Self { x: values(op.x), residual: op.residual.map(values), affine, floor }
    }

    fn operands(&self) -> usize {
        2 + usize::from(self.residual.is_some())
    }

    pub(super) fn terms(&self, c: usize, moments: &Moments) -> Terms {
        Terms::new(c, moments.mean as f32, moments.inv_std(), self.affine)
    }
}

/// What the backward pass reads beside `dL/dy`.
pub(super) struct Backward<'a> {
    pub(super) x: &'a [f32],
    pub(super) mask: Mask<'a>,
    mean: &'a [f32],
    inv_std: &'a [f32],
    affine: Option<(&'a [f32], &'a [f32])>,
    count: f64,
}

/// What tells where the activation let a gradient through.
#[derive(Clone, Copy)]
pub(super) enum Mask<'a> {
    /// Everywhere.
    Open,
    /// Where the output is above 0.
    Output(&'a [f32]),
    /// Where the output is above 0, computed once more: that takes less time than to read it.
    Input,
}

/// `value`, or `floor` if that is larger. What is no number stays so, as in PyTorch.
#[inline(always)]
pub(super) fn at_least(floor: f32, value: f32) -> f32 {
    if value < floor { floor } else { value }
}

/// What an activation lets through of a gradient. It is computed twice rather than stored: the compiler makes a masked
/// store of it, which is slow on some machines.
#[inline(always)]
pub(super) fn passed(grad: f32, is_open: bool) -> f32 {
    if is_open { grad } else { 0.0 }
}

/// A channel's sums of `dy` and of `dy (x - mean)`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct GradientSums {
    pub(super) plain: f64,
    pub(super) centred: f64,
}

/// The numbers of one channel's `dx = factor dy + slope (x - mean) + offset`.
#[derive(Clone, Copy)]
pub(super) struct GradientTerms {
    pub(super) mean: f32,
    pub(super) factor: f32,
    pub(super) slope: f32,
    pub(super) offset: f32,
}

impl GradientTerms {
    #[inline(always)]
    pub(super) fn input_gradient(&self, grad: f32, x: f32) -> f32 {
        self.factor * grad + self.slope * (x - self.mean) + self.offset
    }
}

impl Backward<'_> {
    /// For the gradient of one of so many equal parts of the batch.
    fn part(&self, part: usize, parts: usize) -> Self {
        let mask = match self.mask {
            Mask::Output(y) => Mask::Output(part_of(y, part, parts)),
            whole => whole,
        };
        Self { x: part_of(self.x, part, parts), mask, ..*self }
    }

    /// With `x' = (x - mean) inv_std`: `dx = scale inv_std (dy - sum(dy) / m - x' sum(dy x') / m)`.
    fn terms(&self, c: usize, sums: &GradientSums) -> GradientTerms {
        let inv_std = f64::from(self.inv_std[c]);
        let factor = inv_std * self.affine.map_or(1.0, |(scale, _)| f64::from(scale[c]));
        GradientTerms {
            mean: self.mean[c],
            factor: factor as f32,
            slope: (-factor * inv_std * inv_std * sums.centred / self.count) as f32,
            offset: (-factor * sums.plain / self.count) as f32,
        }
    }

    /// The numbers of the forward pass.
    pub(super) fn forward_terms(&self, c: usize) -> Terms {
        Terms::new(c, self.mean[c], self.inv_std[c], self.affine)
    }
}
