use dfdx::prelude::*;
use simsiam_model::layers::{Activation, BatchNorm1d, BatchNorm2d};
use simsiam_model::{Features, Images, Module, images_from, init::InitRng};

use crate::{along, assert_close, assert_is_gradient, dot, noise, oracle::BatchNorm, wide};

#[test]
fn the_oracles_gradients_are_slopes() {
    let norm = BatchNorm { channels: 2, plane: 4 };
    let n = 3 * 2 * 4;
    let [x, residual, direction] = [1, 2, 3].map(|seed| wide(&noise(seed, n)));
    let [scale, shift] = [4, 5].map(|seed| wide(&noise(seed, 2)));
    let out = norm.forward(&x, &scale, &shift, &residual);
    let grad = norm.backward(&x, &scale, &out, &direction);
    let loss = |x: &[f64], scale: &[f64], shift: &[f64], residual: &[f64]| {
        dot(&norm.forward(x, scale, shift, residual).y, &direction)
    };
    assert_is_gradient("dx", &grad.x, &x, |x| loss(x, &scale, &shift, &residual));
    assert_is_gradient("dscale", &grad.scale, &scale, |scale| loss(&x, scale, &shift, &residual));
    assert_is_gradient("dshift", &grad.shift, &shift, |shift| loss(&x, &scale, shift, &residual));
    assert_is_gradient("dresidual", &grad.residual, &residual, |residual| loss(&x, &scale, &shift, residual));
}

#[test]
fn images_with_residual_agree_with_the_oracle() {
    images_agree::<3, 5>(4, 0.0);
    images_agree::<17, 2>(9, 0.0);
    images_agree::<2, 16>(3, 0.0);
    // A mean of 100 standard deviations.
    images_agree::<2, 16>(3, 50.0);
}

fn images_agree<const C: usize, const S: usize>(batch: usize, mean: f32) {
    let dev = Cpu::default();
    let n = batch * C * S * S;
    let [mut x, residual, direction] = [1, 2, 3].map(|seed| noise(seed, n));
    x.iter_mut().for_each(|x| *x += mean);
    let [scale, shift] = [4, 5].map(|seed| noise(seed, C));
    let mut norm = BatchNorm2d::<C, Cpu>::new(&dev, &InitRng::new(0));
    norm.weight.copy_from(&scale);
    norm.bias.copy_from(&shift);
    let images: Images<Cpu, C, S> = images_from(&dev, &x);
    let shortcut: Images<Cpu, C, S> = images_from(&dev, &residual);
    let y = norm.forward_add_mut(images.leaky_trace(), shortcut.leaky_trace(), Activation::Relu);
    let found_y = y.as_vec();
    let grads = along(y.into_tensor(), &direction).backward();

    let oracle = BatchNorm { channels: C, plane: S * S };
    let (wide_x, wide_scale) = (wide(&x), wide(&scale));
    let out = oracle.forward(&wide_x, &wide_scale, &wide(&shift), &wide(&residual));
    let grad = oracle.backward(&wide_x, &wide_scale, &out, &wide(&direction));
    if mean == 0.0 {
        assert_close("y", &found_y, &out.y);
        assert_close("dx", &grads.get(images.tensor()).as_vec(), &grad.x);
        assert_close("dscale", &grads.get(&norm.weight).as_vec(), &grad.scale);
        assert_close("dshift", &grads.get(&norm.bias).as_vec(), &grad.shift);
        assert_close("dresidual", &grads.get(shortcut.tensor()).as_vec(), &grad.residual);
    }
    let count = (batch * S * S) as f64;
    let running_mean: Vec<f64> = out.mean.iter().map(|mean| 0.1 * mean).collect();
    let running_var: Vec<f64> = out.var.iter().map(|var| 0.9 + 0.1 * var * count / (count - 1.0)).collect();
    assert_close("running mean", &norm.running.mean.as_vec(), &running_mean);
    assert_close("running var", &norm.running.var.as_vec(), &running_var);
}

#[test]
fn features_agree_with_the_oracle() {
    const C: usize = 70;
    let dev = Cpu::default();
    let [x, direction] = [1, 3].map(|seed| noise(seed, 9 * C));
    let [scale, shift] = [4, 5].map(|seed| noise(seed, C));
    let mut norm = BatchNorm1d::<C, Cpu>::new(&dev, &InitRng::new(0));
    let (weight, bias) = (norm.weight.as_mut().unwrap(), norm.bias.as_mut().unwrap());
    weight.copy_from(&scale);
    bias.copy_from(&shift);
    let features: Features<Cpu, C> = dev.tensor_from_vec(x.clone(), (9, Const));
    let y = norm.forward_mut(features.leaky_trace(), Activation::Relu);
    let found_y = y.as_vec();
    let grads = along(y, &direction).backward();

    let oracle = BatchNorm { channels: C, plane: 1 };
    let (x, scale) = (wide(&x), wide(&scale));
    let out = oracle.forward(&x, &scale, &wide(&shift), &vec![0.0; x.len()]);
    let grad = oracle.backward(&x, &scale, &out, &wide(&direction));
    assert_close("y", &found_y, &out.y);
    assert_close("dx", &grads.get(&features).as_vec(), &grad.x);
    assert_close("dscale", &grads.get(norm.weight.as_ref().unwrap()).as_vec(), &grad.scale);
    assert_close("dshift", &grads.get(norm.bias.as_ref().unwrap()).as_vec(), &grad.shift);
}

/// Without scale, shift and ReLU: the oracle with scale 1 and a shift that keeps every value above 0.
#[test]
fn plain_features_agree_with_the_oracle() {
    const C: usize = 5;
    let dev = Cpu::default();
    let [x, direction] = [1, 3].map(|seed| noise(seed, 9 * C));
    let mut norm = BatchNorm1d::<C, Cpu>::plain(&dev);
    let features: Features<Cpu, C> = dev.tensor_from_vec(x.clone(), (9, Const));
    let y = norm.forward_mut(features.leaky_trace(), Activation::Identity);
    let found_y = y.as_vec();
    let grads = along(y, &direction).backward();

    let oracle = BatchNorm { channels: C, plane: 1 };
    let out = oracle.forward(&wide(&x), &[1.0; C], &[10.0; C], &[0.0; 9 * C]);
    let grad = oracle.backward(&wide(&x), &[1.0; C], &out, &wide(&direction));
    let expected: Vec<f64> = out.y.iter().map(|y| y - 10.0).collect();
    assert_close("y", &found_y, &expected);
    assert_close("dx", &grads.get(&features).as_vec(), &grad.x);
}

#[test]
fn evaluation_normalises_by_the_running_statistics() {
    let dev = Cpu::default();
    let mut norm = BatchNorm2d::<1, Cpu>::new(&dev, &InitRng::new(0));
    norm.running.mean.copy_from(&[1.0]);
    norm.running.var.copy_from(&[4.0 - 1e-5]);
    norm.weight.copy_from(&[3.0]);
    norm.bias.copy_from(&[0.5]);
    let x: Images<Cpu, 1, 1> = images_from(&dev, &[3.0, -3.0]);
    let residual: Images<Cpu, 1, 1> = images_from(&dev, &[0.25, 0.25]);
    assert_eq!(norm.forward(x.clone(), Activation::Identity).as_vec(), [3.5, -5.5]);
    assert_eq!(norm.forward_add(x, residual, Activation::Relu).as_vec(), [3.75, 0.0]);
}

#[test]
fn what_is_no_number_stays_so() {
    let dev = Cpu::default();
    let relu = Activation::Relu;
    let values = || {
        let mut values = noise(1, 2 * 3 * 4);
        values[5] = f32::NAN;
        values
    };
    let images = || -> Images<Cpu, 3, 2> { images_from(&dev, &values()) };
    let features = || -> Features<Cpu, 12> { dev.tensor_from_vec(values(), (2, Const)) };
    let mut norm2d = BatchNorm2d::<3, Cpu>::new(&dev, &InitRng::new(0));
    let mut norm1d = BatchNorm1d::<12, Cpu>::new(&dev, &InitRng::new(0));
    for found in [
        norm2d.forward(images(), relu).as_vec(),
        norm2d.forward(images(), Activation::Identity).as_vec(),
        norm2d.forward_add(images(), images(), relu).as_vec(),
        norm1d.forward(features(), relu).as_vec(),
    ] {
        let places: Vec<usize> = (0..found.len()).filter(|at| found[*at].is_nan()).collect();
        assert_eq!(places, [5]);
    }
    // In training all values of its channel are affected: of images the second's of three, one of 12 features.
    let found = norm2d.forward_mut(images().leaky_trace(), relu).as_vec();
    assert_eq!(found.iter().filter(|value| value.is_nan()).count(), 2 * 4);
    let found = norm1d.forward_mut(features().leaky_trace(), relu).as_vec();
    assert_eq!(found.iter().filter(|value| value.is_nan()).count(), 2);
}
