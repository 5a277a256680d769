use anyhow::Result;
use dfdx::prelude::*;
use simsiam_model::backend::{Format, Pixels, ViewBytes};
use simsiam_model::init::InitRng;
use simsiam_model::layers::{
    Activation, BatchNorm1d, BatchNorm2d, Conv2d, Linear, MaxPool2d, global_avg_pool,
};
use simsiam_model::objective::negative_cosine;
use simsiam_model::tensors::{Channels, Taped, images_shape, in_format};
use simsiam_model::{Backend, Features, Images, Module, TargetGradient, images_from};
use simsiam_pipeline::Recipe;

use super::updates::{Rule, Update};
use super::{Comparable, noise};

/// An operation on random values, the same on each device.
pub(super) trait Operation {
    /// Whether it has no images and multiplies no matrices, and so is in single precision whatever the device's.
    const IN_SINGLE_PRECISION: bool = false;

    /// What it is, with its sizes.
    fn name(&self) -> String;

    /// Its results by name: outputs, and gradients along a random direction.
    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)>;
}

/// Where an operation runs.
#[derive(Clone, Copy)]
pub(super) struct At<'a, D> {
    /// The device.
    pub(super) dev: &'a D,
    /// The format in which its layers are given images.
    pub(super) format: Format,
    /// What images are rounded to before, on every device, so that a rounding decides nothing: which value is the largest,
    /// whether one is above 0.
    pub(super) rounded_to: Format,
}

impl<D: Backend> At<'_, D> {
    /// Random images in single precision.
    fn images<const C: usize, const S: usize>(
        &self,
        seed: u64,
        stream: u64,
        batch: usize,
    ) -> Images<D, C, S> {
        let images = images_from(self.dev, &noise(seed, stream, batch * C * S * S));
        in_format(in_format(images, self.rounded_to), Format::F32)
    }

    /// Images as layers are given them, with a tape.
    fn traced<const C: usize, const S: usize>(&self, x: &Images<D, C, S>) -> Images<D, C, S, Taped<D>> {
        in_format(x.leaky_trace(), self.format)
    }
}

/// What a layer gave, in single precision.
fn single<const C: usize, const S: usize, D: Backend>(
    y: Images<D, C, S, Taped<D>>,
) -> Images<D, C, S, Taped<D>> {
    in_format(y, Format::F32)
}

/// Calls `each` with every operation, on batches whose sizes `seed` draws.
pub(super) fn all<D: Backend>(
    seed: u64,
    each: &mut dyn FnMut(&dyn Comparable<D>) -> Result<()>,
) -> Result<()> {
    let batch = |stream: u64, most: f32| 2 + (noise(seed, stream, 1)[0].abs() * most) as usize;
    each(&Convolution::<3, 64, 7, 2, 3, 224, 112> { batch: batch(1, 3.0), seed })?;
    each(&Convolution::<64, 64, 3, 1, 1, 56, 56> { batch: batch(2, 6.0), seed })?;
    each(&Convolution::<128, 128, 3, 2, 1, 56, 28> { batch: batch(3, 6.0), seed })?;
    each(&Convolution::<256, 512, 1, 2, 0, 56, 28> { batch: batch(4, 3.0), seed })?;
    each(&Convolution::<512, 128, 1, 1, 0, 28, 28> { batch: batch(5, 6.0), seed })?;
    each(&Convolution::<3, 16, 3, 1, 1, 32, 32> { batch: batch(6, 60.0), seed })?;
    for activation in [Activation::Relu, Activation::Identity] {
        each(&ImageNorm::<64, 28> { batch: batch(7, 30.0), seed, activation, residual: false })?;
        each(&ImageNorm::<18, 7> { batch: batch(8, 60.0), seed, activation, residual: true })?;
        each(&FeatureNorm::<2048> { batch: batch(9, 250.0), seed, activation })?;
    }
    each(&MaxPooling { batch: batch(10, 8.0), seed })?;
    each(&AveragePooling { batch: batch(11, 60.0), seed })?;
    each(&LinearLayer::<2048, 512> { batch: batch(12, 250.0), seed })?;
    each(&LinearLayer::<64, 2048> { batch: batch(13, 250.0), seed })?;
    each(&Cosine { batch: batch(14, 250.0), seed })?;
    each(&TableRows { rows: batch(15, 250.0), seed })?;
    each(&BytesFed { batch: batch(17, 60.0), seed })?;
    let n = 1000 * batch(16, 90.0) + 7;
    each(&Update { rule: Rule::Sgd, n, seed })?;
    each(&Update { rule: Rule::Lars, n, seed })?;
    each(&Update { rule: Rule::AdamW, n, seed })
}

/// The gradients of `y` along a random direction: of the sum of its products with noise.
pub(super) fn along<S: Shape, D: Backend>(y: Tensor<S, f32, D, Taped<D>>, seed: u64) -> Gradients<f32, D> {
    let (y, tape) = y.split_tape();
    let shape = *y.shape();
    let direction = y.device().tensor_from_vec(noise(seed, 99, shape.num_elements()), shape);
    (y.put_tape(tape) * direction).sum::<Rank0, _>().backward()
}

fn features<const C: usize, D: Backend>(dev: &D, seed: u64, stream: u64, rows: usize) -> Features<D, C> {
    dev.tensor_from_vec(noise(seed, stream, rows * C), (rows, Const))
}

struct Convolution<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const S: usize,
    const S_OUT: usize,
> {
    batch: usize,
    seed: u64,
}

impl<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const S: usize,
    const S_OUT: usize,
> Operation for Convolution<IN, OUT, KERNEL, STRIDE, PAD, S, S_OUT>
{
    fn name(&self) -> String {
        format!("convolution {}x{IN}x{S}x{S} -> {OUT}, {KERNEL}x{KERNEL} / {STRIDE}", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let layer = Conv2d::<IN, OUT, KERNEL, STRIDE, PAD, D>::new(at.dev, &InitRng::new(self.seed));
        let x: Images<D, IN, S> = at.images(self.seed, 1, self.batch);
        let (input, tape) = at.traced(&x).split_tape();
        // Twice, so that the second gradient is added to the first.
        let again: Images<D, OUT, S_OUT, _> = single(layer.forward(input.leaky_trace()));
        let y: Images<D, OUT, S_OUT, _> = single(layer.forward(input.put_tape(tape)));
        let found = y.as_vec();
        let grads = along(y.into_tensor() + again.into_tensor(), self.seed);
        vec![("y", found), ("dx", grads.get(x.tensor()).as_vec()), ("dw", grads.get(&layer.weight).as_vec())]
    }
}

struct ImageNorm<const C: usize, const S: usize> {
    batch: usize,
    seed: u64,
    activation: Activation,
    residual: bool,
}

impl<const C: usize, const S: usize> Operation for ImageNorm<C, S> {
    fn name(&self) -> String {
        let Self { batch, activation, residual, .. } = self;
        let residual = if *residual { " and a residual" } else { "" };
        format!("batch norm {batch}x{C}x{S}x{S}, {activation:?}{residual}")
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let Self { batch, seed, activation, residual } = *self;
        let mut norm = BatchNorm2d::<C, D>::new(at.dev, &InitRng::new(seed));
        norm.weight.copy_from(&noise(seed, 3, C));
        norm.bias.copy_from(&noise(seed, 4, C));
        let x: Images<D, C, S> = at.images(seed, 1, batch);
        let shortcut: Images<D, C, S> = at.images(seed, 2, batch);
        let y = single(if residual {
            norm.forward_add_mut(at.traced(&x), at.traced(&shortcut), activation)
        } else {
            norm.forward_mut(at.traced(&x), activation)
        });
        let in_evaluation = norm.forward(in_format(x.clone(), at.format), activation);
        let mut results = vec![
            ("y", y.as_vec()),
            ("running mean", norm.running.mean.as_vec()),
            ("running variance", norm.running.var.as_vec()),
            ("y in evaluation", in_format(in_evaluation, Format::F32).as_vec()),
        ];
        let grads = along(y.into_tensor(), seed);
        results.extend([
            ("dx", grads.get(x.tensor()).as_vec()),
            ("dscale", grads.get(&norm.weight).as_vec()),
            ("dshift", grads.get(&norm.bias).as_vec()),
        ]);
        if residual {
            results.push(("dresidual", grads.get(shortcut.tensor()).as_vec()));
        }
        results
    }
}

struct FeatureNorm<const C: usize> {
    batch: usize,
    seed: u64,
    activation: Activation,
}

impl<const C: usize> Operation for FeatureNorm<C> {
    const IN_SINGLE_PRECISION: bool = true;

    fn name(&self) -> String {
        format!("batch norm {}x{C}, {:?}", self.batch, self.activation)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let mut norm = BatchNorm1d::<C, D>::new(dev, &InitRng::new(self.seed));
        norm.weight.iter_mut().for_each(|scale| scale.copy_from(&noise(self.seed, 3, C)));
        let x: Features<D, C> = features(dev, self.seed, 1, self.batch);
        let y = norm.forward_mut(x.leaky_trace(), self.activation);
        let found = y.as_vec();
        let grads = along(y, self.seed);
        vec![
            ("y", found),
            ("dx", grads.get(&x).as_vec()),
            ("dscale", of_channels(&grads, &norm.weight)),
            ("dshift", of_channels(&grads, &norm.bias)),
        ]
    }
}

/// The gradient of a parameter that may be missing.
fn of_channels<const C: usize, D: Backend>(
    grads: &Gradients<f32, D>,
    parameter: &Option<Channels<D, C>>,
) -> Vec<f32> {
    parameter.iter().flat_map(|parameter| grads.get(parameter).as_vec()).collect()
}

struct MaxPooling {
    batch: usize,
    seed: u64,
}

impl Operation for MaxPooling {
    fn name(&self) -> String {
        format!("max pool {}x64x112x112, 3x3 / 2", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let x: Images<D, 64, 112> = at.images(self.seed, 1, self.batch);
        let y: Images<D, 64, 56, _> = single(MaxPool2d::<3, 2, 1>.forward(at.traced(&x)));
        let found = y.as_vec();
        vec![("y", found), ("dx", along(y.into_tensor(), self.seed).get(x.tensor()).as_vec())]
    }
}

struct AveragePooling {
    batch: usize,
    seed: u64,
}

impl Operation for AveragePooling {
    fn name(&self) -> String {
        format!("global average pool {}x512x7x7", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let x: Images<D, 512, 7> = at.images(self.seed, 1, self.batch);
        let y = global_avg_pool(at.traced(&x));
        let found = y.as_vec();
        vec![("y", found), ("dx", along(y, self.seed).get(x.tensor()).as_vec())]
    }
}

struct LinearLayer<const IN: usize, const OUT: usize> {
    batch: usize,
    seed: u64,
}

impl<const IN: usize, const OUT: usize> Operation for LinearLayer<IN, OUT> {
    fn name(&self) -> String {
        format!("linear {}x{IN} -> {OUT}", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let layer = Linear::<IN, OUT, D>::biased(dev, &InitRng::new(self.seed));
        let x: Features<D, IN> = features(dev, self.seed, 1, self.batch);
        let y = layer.forward(x.leaky_trace());
        let found = y.as_vec();
        let grads = along(y, self.seed);
        vec![
            ("y", found),
            ("dx", grads.get(&x).as_vec()),
            ("dw", grads.get(&layer.weight).as_vec()),
            ("db", of_channels(&grads, &layer.bias)),
        ]
    }
}

struct Cosine {
    batch: usize,
    seed: u64,
}

impl Operation for Cosine {
    const IN_SINGLE_PRECISION: bool = true;

    fn name(&self) -> String {
        format!("cosine {}x2048", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let p: Features<D, 2048> = features(dev, self.seed, 1, self.batch);
        let z: Features<D, 2048> = features(dev, self.seed, 2, self.batch);
        // Not near 0, where the sum of many cosines has lost its digits.
        let z = z + p.clone();
        let loss = negative_cosine(p.leaky_trace(), z.clone(), TargetGradient::Flows);
        let found = loss.as_vec();
        let grads = loss.backward();
        vec![("loss", found), ("dp", grads.get(&p).as_vec()), ("dz", grads.get(&z).as_vec())]
    }
}

struct TableRows {
    rows: usize,
    seed: u64,
}

impl Operation for TableRows {
    const IN_SINGLE_PRECISION: bool = true;

    fn name(&self) -> String {
        format!("rows {}x128 of a table of 1000", self.rows)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let mut table: Features<D, 128> = features(dev, self.seed, 1, 1000);
        let values = features(dev, self.seed, 2, self.rows);
        let numbers: Vec<usize> = (0..self.rows).map(|i| (i * 377 + 5) % 1000).collect();
        let gathered = dev.gather_rows(&table, &numbers);
        let scattered = dev.scatter_rows(&mut table, &numbers, &values);
        let gathered = gathered.and_then(|gathered| scattered.map(|()| gathered));
        let gathered = gathered.unwrap_or_else(|error| panic!("the device failed: {error}"));
        vec![("gathered", gathered.as_vec()), ("scattered", table.as_vec())]
    }
}

struct BytesFed {
    batch: usize,
    seed: u64,
}

impl Operation for BytesFed {
    const IN_SINGLE_PRECISION: bool = true;

    fn name(&self) -> String {
        format!("views of bytes {}x3x224x224 and 96x96", self.batch)
    }

    fn run<D: Backend>(&self, at: At<'_, D>) -> Vec<(&'static str, Vec<f32>)> {
        let dev = at.dev;
        let bytes = |stream, size: usize| -> Vec<u8> {
            let values = noise(self.seed, stream, self.batch * 3 * size * size);
            values.iter().map(|value| (127.5 + 127.5 * value) as u8).collect()
        };
        let (first, second) = (bytes(1, 224), bytes(2, 96));
        let views = vec![ViewBytes::new(&first, 224 * 224), ViewBytes::new(&second, 96 * 96)];
        let sent = D::send(&Pixels::Bytes { views, levels: &Recipe::imagenet().levels() });
        let received = sent.and_then(|mut sent| {
            let mut next = |size| {
                let shape = images_shape(self.batch, 3, size, Format::F32);
                dev.receive(&mut sent, shape).map(|view| view.as_vec())
            };
            Ok([next(224)?, next(96)?])
        });
        let [first, second] = received.unwrap_or_else(|error| panic!("the device failed: {error}"));
        vec![("first view", first), ("second view", second)]
    }
}
