use dfdx::prelude::{Cpu, Shape, Storage, TensorFromVec};

use super::*;
use crate::backend::kernels::host::{Host, assert_close, assert_close_in, noise, noise_in, on_host};
use crate::backend::{BatchNormGradients, BatchNormKernel, BatchNormSaved, BatchStatistics, Normalization};
use crate::collective::Ranks;

/// What a normalisation has: the layers have all of these.
#[derive(Clone, Copy)]
struct Kind {
    activation: Activation,
    affine: bool,
    residual: bool,
}

const KINDS: [Kind; 5] = [
    Kind { activation: Activation::Relu, affine: true, residual: true },
    Kind { activation: Activation::Relu, affine: true, residual: false },
    Kind { activation: Activation::Identity, affine: true, residual: false },
    Kind { activation: Activation::Identity, affine: false, residual: false },
    Kind { activation: Activation::Relu, affine: false, residual: true },
];

#[test]
fn features_agree_with_the_cpus() {
    on_host(|host| {
        for kind in KINDS {
            agrees(host, (2, 17), 17, kind, 0.0);
            agrees(host, (9, 5), 5, kind, 3.0);
            agrees(host, (2500, 2), 2, kind, 0.0);
        }
    });
}

#[test]
fn images_agree_with_the_cpus() {
    on_host(|host| {
        for kind in KINDS {
            agrees(host, (2, 3, 5, 5), 3, kind, 0.0);
            agrees(host, (3, 2, 16, 16), 2, kind, 20.0);
            // Several parts a channel, the last of them short.
            agrees(host, (11, 3, 20, 20), 3, kind, 0.0);
        }
    });
}

#[test]
fn images_of_bf16_agree_with_the_cpus() {
    on_host(|host| {
        for kind in KINDS {
            // Fewer pairs than a warp, several parts, and more pairs than a block takes.
            agrees(host, (2, 3, 5, 5), 6, kind, 0.0);
            agrees(host, (3, 5, 20, 20), 10, kind, 2.0);
            agrees(host, (3, 34, 4, 4), 68, kind, 0.0);
        }
    });
}

#[test]
fn parts_cover_a_channel_for_few_and_many_channels() {
    let partition = |sizes: &[usize], channels| Partition::of(Layout::of(sizes, channels));
    assert_eq!(partition(&[512, 64, 112, 112], 64).parts, 16);
    assert_eq!(partition(&[512, 2048, 7, 7], 2048).parts, 1);
    assert_eq!(partition(&[512, 2048], 2048).parts, 1);
    assert_eq!(partition(&[11, 3, 20, 20], 3).parts, 3);
    assert_eq!(partition(&[0, 3], 3).grid(), (0, 1));
    assert_eq!(partition(&[512, 32, 112, 112], 64).grid(), (1, 1024));
    assert_eq!(partition(&[512, 1024, 7, 7], 2048).grid(), (32, 32));
    assert_eq!(partition(&[2, 8, 4, 4], 16).grid(), (1, 1));
}

/// Compares on values stored as `shape`, which may be of either format.
fn agrees<S: Shape<Concrete: AsRef<[usize]>>>(host: &Host, shape: S, c: usize, kind: Kind, mean_of_x: f32) {
    let sizes = shape.concrete();
    let layout = Layout::of(sizes.as_ref(), c);
    let partition = Partition::of(layout);
    let n = layout.len();
    let what = |of: &str| format!("{of} of {:?}", sizes.as_ref());
    let x = noise_in(&layout, 1, |x| x + mean_of_x);
    let [residual, grad_y] = [2, 3].map(|seed| noise_in(&layout, seed, |x| x));
    let [scale, shift, running_mean] = [4, 5, 6].map(|seed| noise(seed, c));
    let running_var: Vec<f32> = noise(7, c).iter().map(|v| v.abs() + 0.1).collect();
    let [before_x, before_residual] = [8, 9].map(|seed| noise_in(&layout, seed, |x| x));
    let [before_scale, before_shift] = [10, 11].map(|seed| noise(seed, c));

    let dev = Cpu::default();
    let [x_cpu, residual_cpu] = [&x, &residual].map(|v| dev.tensor_from_vec(v.clone(), shape));
    let channel = |v: &[f32]| dev.tensor_from_vec(v.to_vec(), (c,));
    let (scale_cpu, shift_cpu) = (channel(&scale), channel(&shift));
    let (mut running_mean_cpu, mut running_var_cpu) = (channel(&running_mean), channel(&running_var));
    let op = Normalization {
        x: &x_cpu,
        affine: kind.affine.then_some((&scale_cpu, &shift_cpu)),
        residual: kind.residual.then_some(&residual_cpu),
        activation: kind.activation,
    };
    let eval_cpu = dev.batch_norm_eval(&op, &running_mean_cpu, &running_var_cpu).unwrap();
    let (y_cpu, of_batch) =
        dev.batch_norm_train(&op, &mut running_mean_cpu, &mut running_var_cpu, &Ranks::default()).unwrap();

    let affine = kind.affine.then_some((Values::from(&scale[..]), Values::from(&shift[..])));
    let residual = kind.residual.then_some(Values::from(&residual[..]));
    let (mut y, mut inv_std) = (vec![0.0; n], vec![0.0; c]);
    let epsilon = Cpu::EPSILON;
    inverse_std(host, epsilon, running_var[..].into(), (&mut inv_std[..]).into()).unwrap();
    let by = Statistics { mean: running_mean[..].into(), inv_std: inv_std[..].into(), affine };
    normalize(host, &partition, kind.activation, &by, x[..].into(), residual, (&mut y[..]).into()).unwrap();
    assert_close_in(&layout, &what("y in evaluation"), &y, &eval_cpu.as_vec());

    let (mut mean, mut sums) = (vec![0.0; c], vec![0.0; partition.sums_len()]);
    let (mut running_mean, mut running_var) = (running_mean, running_var);
    let into = [&mut mean, &mut inv_std, &mut running_mean, &mut running_var].map(|v| (&mut v[..]).into());
    let constants = [epsilon, Cpu::MOMENTUM];
    statistics(host, &partition, constants, x[..].into(), (&mut sums[..]).into(), into).unwrap();
    assert_close(&what("mean"), &mean, &of_batch.mean.as_vec());
    assert_close(&what("1 / std"), &inv_std, &of_batch.inv_std.as_vec());
    assert_close(&what("running mean"), &running_mean, &running_mean_cpu.as_vec());
    assert_close(&what("running variance"), &running_var, &running_var_cpu.as_vec());

    // From the same statistics on, so that no activation differs by rounding alone.
    let (mean, inv_std) = (of_batch.mean.as_vec(), of_batch.inv_std.as_vec());
    let by = Statistics { mean: mean[..].into(), inv_std: inv_std[..].into(), affine };
    normalize(host, &partition, kind.activation, &by, x[..].into(), residual, (&mut y[..]).into()).unwrap();
    assert_close_in(&layout, &what("y"), &y, &y_cpu.as_vec());

    let statistics_cpu = BatchStatistics { mean: of_batch.mean, inv_std: of_batch.inv_std };
    let saved = BatchNormSaved {
        x: &x_cpu,
        y: kind.residual.then_some(&y_cpu),
        activation: kind.activation,
        statistics: &statistics_cpu,
        affine: kind.affine.then_some((&scale_cpu, &shift_cpu)),
    };
    let gradient = |v: &[f32]| {
        let mut gradient = Storage::<f32>::try_alloc_len(&dev, v.len()).unwrap();
        gradient.copy_from_slice(v);
        gradient
    };
    let mut output_cpu = gradient(&grad_y);
    let (mut input_cpu, mut residual_cpu) = (gradient(&before_x), gradient(&before_residual));
    let (mut scale_grad_cpu, mut shift_grad_cpu) = (gradient(&before_scale), gradient(&before_shift));
    let gradients = BatchNormGradients {
        input: Some(&mut input_cpu),
        residual: kind.residual.then_some(&mut residual_cpu),
        affine: kind.affine.then_some((&mut scale_grad_cpu, &mut shift_grad_cpu)),
    };
    dev.batch_norm_backward(&saved, &mut output_cpu, gradients, &Ranks::default()).unwrap();

    let y_saved = y_cpu.as_vec();
    let mut terms = vec![0.0; partition.terms_len()];
    let (mut output, mut input, mut grad_residual) = (grad_y, before_x, before_residual);
    let (mut grad_scale, mut grad_shift) = (before_scale, before_shift);
    let saved = Backward {
        activation: kind.activation,
        by,
        x: x[..].into(),
        y: kind.residual.then_some(y_saved[..].into()),
    };
    let scratch = Scratch { sums: (&mut sums[..]).into(), terms: (&mut terms[..]).into() };
    let results = Results {
        output: (&mut output[..]).into(),
        input: Some((&mut input[..]).into()),
        residual: kind.residual.then_some((&mut grad_residual[..]).into()),
        affine: kind.affine.then_some(((&mut grad_scale[..]).into(), (&mut grad_shift[..]).into())),
    };
    differentiate(host, &partition, &saved, scratch, results).unwrap();
    assert_close_in(&layout, &what("dx"), &output, &output_cpu);
    assert_close_in(&layout, &what("added dx"), &input, &input_cpu);
    assert_close_in(&layout, &what("dresidual"), &grad_residual, &residual_cpu);
    assert_close(&what("dscale"), &grad_scale, &scale_grad_cpu);
    assert_close(&what("dshift"), &grad_shift, &shift_grad_cpu);
}
