//! Each layer on images of bf16 against the same layer on the same values in single precision.

use dfdx::prelude::*;
use simsiam_model::backend::Format;
use simsiam_model::init::InitRng;
use simsiam_model::layers::{Activation, BatchNorm2d, Conv2d, MaxPool2d, global_avg_pool};
use simsiam_model::tensors::in_format;
use simsiam_model::{Features, Images, Module, images_from};

use crate::{along, noise};

const BATCH: usize = 4;

type Results = Vec<(&'static str, Vec<f32>)>;

#[test]
fn convolutions_agree() {
    agree(convolution::<3, 8, 3, 1, 1, 12, 12>);
    agree(convolution::<8, 6, 3, 2, 1, 12, 6>);
    agree(convolution::<8, 16, 1, 2, 0, 12, 6>);
    agree(convolution::<16, 8, 1, 1, 0, 9, 9>);
    agree(convolution::<3, 8, 7, 2, 3, 32, 16>);
}

#[test]
fn batch_norms_agree() {
    agree(|format| batch_norm(format, Activation::Relu));
    agree(|format| batch_norm(format, Activation::Identity));
}

#[test]
fn pools_agree() {
    agree(|format| {
        let (images, x) = images::<6, 9>(format, 1);
        let y: Images<Cpu, 6, 5, _> = MaxPool2d::<3, 2, 1>.forward(x);
        let (y, grads) = traced_back(y);
        vec![("y", y), ("dx", grads.get(images.tensor()).as_vec())]
    });
    agree(|format| {
        let (images, x) = images::<6, 9>(format, 1);
        let y: Features<Cpu, 6, _> = global_avg_pool(x);
        let found = y.as_vec();
        let grads = along(y, &noise(9, BATCH * 6)).backward();
        vec![("y", found), ("dx", grads.get(images.tensor()).as_vec())]
    });
}

fn convolution<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const S: usize,
    const S_OUT: usize,
>(
    format: Format,
) -> Results {
    let layer = Conv2d::<IN, OUT, KERNEL, STRIDE, PAD, Cpu>::new(&Cpu::default(), &InitRng::new(5));
    let (images, x) = images::<IN, S>(format, 1);
    let (x, tape) = x.split_tape();
    // Twice, so that the second gradient is added to the first.
    let again: Images<Cpu, OUT, S_OUT, _> = in_format(layer.forward(x.leaky_trace()), Format::F32);
    let y: Images<Cpu, OUT, S_OUT, _> = in_format(layer.forward(x.put_tape(tape)), Format::F32);
    let found = y.as_vec();
    let grads =
        along(y.into_tensor() + again.into_tensor(), &noise(9, BATCH * OUT * S_OUT * S_OUT)).backward();
    vec![("y", found), ("dx", grads.get(images.tensor()).as_vec()), ("dw", grads.get(&layer.weight).as_vec())]
}

fn batch_norm(format: Format, activation: Activation) -> Results {
    let mut norm = BatchNorm2d::<6, Cpu>::new(&Cpu::default(), &InitRng::new(5));
    norm.bias.copy_from(&[0.5; 6]);
    let (images_of_x, x) = images::<6, 9>(format, 1);
    let (residuals, residual) = images::<6, 9>(format, 2);
    let in_evaluation = norm.forward(in_format(images_of_x.clone(), format), activation);
    let (y, grads) = traced_back(norm.forward_add_mut(x, residual, activation));
    vec![
        ("y", y),
        ("y in evaluation", in_format(in_evaluation, Format::F32).as_vec()),
        ("running variance", norm.running.var.as_vec()),
        ("dx", grads.get(images_of_x.tensor()).as_vec()),
        ("dresidual", grads.get(residuals.tensor()).as_vec()),
        ("dscale", grads.get(&norm.weight).as_vec()),
        ("dshift", grads.get(&norm.bias).as_vec()),
    ]
}

/// Values that bf16 can hold, as a tensor of single precision that gradients reach, and in `format`.
#[allow(clippy::type_complexity)]
fn images<const C: usize, const S: usize>(
    format: Format,
    seed: u64,
) -> (Images<Cpu, C, S>, Images<Cpu, C, S, OwnedTape<f32, Cpu>>) {
    let exact = images_from(&Cpu::default(), &noise(seed, BATCH * C * S * S));
    let exact = in_format(in_format(exact, Format::Bf16), Format::F32);
    let traced = in_format(exact.leaky_trace(), format);
    (exact, traced)
}

/// The values, and the gradients along noise.
fn traced_back<const C: usize, const S: usize>(
    y: Images<Cpu, C, S, OwnedTape<f32, Cpu>>,
) -> (Vec<f32>, Gradients<f32, Cpu>) {
    let y = in_format(y, Format::F32);
    (y.as_vec(), along(y.into_tensor(), &noise(9, BATCH * C * S * S)).backward())
}

/// Compares the norm of the difference with the norm: bf16 has 8 bits of mantissa.
fn agree(results: impl Fn(Format) -> Results) {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>().sqrt();
    for ((what, single), (_, half)) in results(Format::F32).iter().zip(&results(Format::Bf16)) {
        let difference = norm(&mut single.iter().zip(half).map(|(a, b)| a - b));
        let error = difference / norm(&mut single.iter().copied());
        assert!(error < 1.0 / 256.0, "{what}: {error}");
    }
}
