//! Batch norm: sums over parts of a channel, then a block per channel, then every value.

use super::{Layout, Queue, Values, ValuesMut, count, grid_of, launch};
use crate::backend::{Activation, Format};

/// How values lie, and into how many parts a channel's sum is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    layout: Layout,
    parts: usize,
}

impl Partition {
    /// Of values that lie so.
    pub(crate) fn of(layout: Layout) -> Self {
        /// Values under which a block is not worth its launch.
        const PART: usize = 2048;
        /// Enough blocks to fill the largest devices.
        const BLOCKS: usize = 1024;
        let one = Self { layout, parts: 1 };
        let values = layout.batch * layout.plane * one.channels_of_block();
        Self { parts: values.div_ceil(PART).min(BLOCKS.div_ceil(one.blocks().max(1))).max(1), ..one }
    }

    /// Channels that a block adds up.
    fn channels_of_block(&self) -> usize {
        match self.layout.format {
            Format::F32 => 1,
            // `lanes_of` in `batch_norm_bf16.cu`, pairs.
            Format::Bf16 => 2 * (self.layout.channels / 2).next_power_of_two().min(32),
        }
    }

    /// Blocks for one part of every channel.
    fn blocks(&self) -> usize {
        self.layout.channels.div_ceil(self.channels_of_block())
    }

    /// Length of the memory for sums, in f64.
    pub(crate) fn sums_len(&self) -> usize {
        self.layout.channels * self.parts * 2
    }

    /// Length of the memory for the gradient's terms.
    pub(crate) fn terms_len(&self) -> usize {
        self.layout.channels * 3
    }

    /// A block for each part of its channels; none where there are no values.
    fn grid(&self) -> (u32, u32) {
        (if self.layout.len() == 0 { 0 } else { count(self.blocks()) }, count(self.parts))
    }

    /// A block for each channel; none where there are no values.
    fn grid_of_channels(&self) -> (u32, u32) {
        (if self.layout.len() == 0 { 0 } else { count(self.layout.channels) }, 1)
    }

    fn check(&self, values: &[Option<usize>], channels: &[Option<usize>]) {
        let fit = |lens: &[Option<usize>], expected| lens.iter().flatten().all(|len| *len == expected);
        assert!(fit(values, self.layout.len()), "values of another shape than {self:?}");
        assert!(fit(channels, self.layout.channels), "not one number for each channel of {self:?}");
    }
}

/// Scale and shift.
pub(crate) type Affine<'a> = Option<(Values<'a>, Values<'a>)>;

/// What every value is normalised by.
#[derive(Clone, Copy)]
pub(crate) struct Statistics<'a> {
    pub(crate) mean: Values<'a>,
    pub(crate) inv_std: Values<'a>,
    pub(crate) affine: Affine<'a>,
}

/// The batch's statistics of `x` into `mean` and `inv_std`, and the running ones a step towards them. `sums` is memory for
/// [`Partition::sums_len`].
pub(crate) fn statistics<Q: Queue>(
    queue: &Q,
    partition: &Partition,
    [epsilon, momentum]: [f32; 2],
    x: Values<'_>,
    mut sums: ValuesMut<'_, f64>,
    [mut mean, mut inv_std, mut running_mean, mut running_var]: [ValuesMut<'_>; 4],
) -> Result<(), Q::Err> {
    let of_channels = [&mean, &inv_std, &running_mean, &running_var].map(|values| Some(values.len()));
    partition.check(&[Some(x.len())], &of_channels);
    assert_eq!(sums.len(), partition.sums_len(), "two sums for each part");
    let [batch, channels, plane] = partition.layout.counts();
    // SAFETY: the layout's values are read, and two sums written for each part.
    unsafe {
        let kernel = partition.layout.kernel("batch_norm_sums", "batch_norm_bf16_sums");
        launch!(queue, kernel, partition.grid(), [batch, channels, plane, x, &mut sums])?;
    }
    // SAFETY: each channel's sums and first value are read, and its four numbers written.
    unsafe {
        launch!(
            queue,
            partition.layout.kernel("batch_norm_statistics", "batch_norm_bf16_statistics"),
            partition.grid_of_channels(),
            [
                batch,
                channels,
                plane,
                count(partition.parts),
                epsilon,
                momentum,
                x,
                sums.as_values(),
                &mut mean,
                &mut inv_std,
                &mut running_mean,
                &mut running_var,
            ]
        )
    }
}

/// `1 / sqrt(var + epsilon)`.
pub(crate) fn inverse_std<Q: Queue>(
    queue: &Q,
    epsilon: f32,
    var: Values<'_>,
    mut inv_std: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    let n = var.len();
    assert_eq!(inv_std.len(), n, "one for each variance");
    // SAFETY: `n` numbers are read, and as many written.
    unsafe { launch!(queue, "inverse_std", grid_of(n), [count(n), epsilon, var, &mut inv_std]) }
}

/// `y = act((x - mean) inv_std scale + shift + residual)`.
pub(crate) fn normalize<Q: Queue>(
    queue: &Q,
    partition: &Partition,
    activation: Activation,
    by: &Statistics<'_>,
    x: Values<'_>,
    residual: Option<Values<'_>>,
    mut y: ValuesMut<'_>,
) -> Result<(), Q::Err> {
    partition.check(&[Some(x.len()), residual.map(|r| r.len()), Some(y.len())], &by.lens());
    let [batch, channels, plane] = partition.layout.counts();
    let (scale, shift) = by.affine.unzip();
    // SAFETY: the layout's values are read and written, and a number for each channel read.
    unsafe {
        launch!(
            queue,
            partition.layout.kernel("batch_norm", "batch_norm_bf16"),
            grid_of(partition.layout.len()),
            [
                batch,
                channels,
                plane,
                relu(activation),
                x,
                residual,
                by.mean,
                by.inv_std,
                scale,
                shift,
                &mut y,
            ]
        )
    }
}

/// What the backward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    pub(crate) activation: Activation,
    pub(crate) by: Statistics<'a>,
    pub(crate) x: Values<'a>,
    /// The output, where it tells what the activation let through.
    pub(crate) y: Option<Values<'a>>,
}

/// Memory for the backward pass.
pub(crate) struct Scratch<'a> {
    /// [`Partition::sums_len`] values.
    pub(crate) sums: ValuesMut<'a, f64>,
    /// [`Partition::terms_len`] values.
    pub(crate) terms: ValuesMut<'a>,
}

/// Where gradients are added; `output` is `dL/dy` and becomes `dL/dx`.
pub(crate) struct Results<'a> {
    pub(crate) output: ValuesMut<'a>,
    pub(crate) input: Option<ValuesMut<'a>>,
    pub(crate) residual: Option<ValuesMut<'a>>,
    pub(crate) affine: Option<(ValuesMut<'a>, ValuesMut<'a>)>,
}

/// Turns `dL/dy` into `dL/dx` and adds the other gradients.
pub(crate) fn differentiate<Q: Queue>(
    queue: &Q,
    partition: &Partition,
    saved: &Backward<'_>,
    mut scratch: Scratch<'_>,
    results: Results<'_>,
) -> Result<(), Q::Err> {
    let Results { mut output, mut input, mut residual, affine } = results;
    let (mut grad_scale, mut grad_shift) = affine.unzip();
    let len = |values: &Option<ValuesMut<'_>>| values.as_ref().map(ValuesMut::len);
    let [of_input, of_residual, of_scale, of_shift] = [&input, &residual, &grad_scale, &grad_shift].map(len);
    let Backward { activation, by, x, y } = *saved;
    partition.check(
        &[Some(x.len()), y.map(|y| y.len()), Some(output.len()), of_input, of_residual],
        &[&by.lens()[..], &[of_scale, of_shift]].concat(),
    );
    assert_eq!(scratch.sums.len(), partition.sums_len(), "two sums for each part");
    assert_eq!(scratch.terms.len(), partition.terms_len(), "three terms for each channel");
    let [batch, channels, plane] = partition.layout.counts();
    let relu = relu(activation);
    let (scale, shift) = by.affine.unzip();
    // SAFETY: the layout's values and a number for each channel are read, and two sums written for each part.
    unsafe {
        launch!(
            queue,
            partition.layout.kernel("batch_norm_gradient_sums", "batch_norm_bf16_gradient_sums"),
            partition.grid(),
            [
                batch,
                channels,
                plane,
                relu,
                output.as_values(),
                x,
                y,
                by.mean,
                by.inv_std,
                scale,
                shift,
                &mut scratch.sums,
            ]
        )?;
    }
    // SAFETY: each channel's sums are read, and its terms and gradients written.
    unsafe {
        launch!(
            queue,
            "batch_norm_gradient_terms",
            partition.grid_of_channels(),
            [
                batch,
                channels,
                plane,
                count(partition.parts),
                scratch.sums.as_values(),
                by.inv_std,
                scale,
                &mut scratch.terms,
                &mut grad_scale,
                &mut grad_shift,
            ]
        )?;
    }
    // SAFETY: as above; a thread writes only the places of the values that it reads.
    unsafe {
        launch!(
            queue,
            partition.layout.kernel("batch_norm_gradient", "batch_norm_bf16_gradient"),
            grid_of(partition.layout.len()),
            [
                batch,
                channels,
                plane,
                relu,
                x,
                y,
                by.mean,
                by.inv_std,
                scale,
                shift,
                scratch.terms.as_values(),
                &mut output,
                &mut residual,
                &mut input,
            ]
        )
    }
}

impl Statistics<'_> {
    fn lens(&self) -> [Option<usize>; 4] {
        let (scale, shift) = self.affine.unzip();
        [Some(self.mean), Some(self.inv_std), scale, shift].map(|values| values.map(|values| values.len()))
    }
}

fn relu(activation: Activation) -> u32 {
    u32::from(activation == Activation::Relu)
}

#[cfg(test)]
mod tests;
