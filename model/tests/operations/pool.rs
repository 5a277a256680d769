use dfdx::prelude::*;
use simsiam_model::layers::{MaxPool2d, global_avg_pool};
use simsiam_model::{Features, Images, images_from};

use crate::{along, assert_close, noise, wide};

#[test]
fn max_pool_agrees_with_its_definition() {
    agree::<3, 2, 1, 8, 4>();
    agree::<3, 2, 1, 7, 4>();
    agree::<2, 2, 0, 6, 3>();
    agree::<3, 1, 1, 5, 5>();
}

fn agree<const KERNEL: usize, const STRIDE: usize, const PAD: usize, const S: usize, const S_OUT: usize>() {
    const PLANES: usize = 6;
    let dev = Cpu::default();
    let x = noise(1, PLANES * S * S);
    let direction = noise(2, PLANES * S_OUT * S_OUT);
    let images: Images<Cpu, 3, S> = images_from(&dev, &x);
    let y: Images<Cpu, 3, S_OUT, _> = MaxPool2d::<KERNEL, STRIDE, PAD>.forward(images.leaky_trace());
    let found_y = y.as_vec();
    let grads = along(y.into_tensor(), &direction).backward();

    let (mut expected_y, mut expected_dx) = (Vec::new(), vec![0.0; x.len()]);
    for (at, direction) in direction.iter().enumerate() {
        let (plane, y, x_out) = (at / (S_OUT * S_OUT), at / S_OUT % S_OUT, at % S_OUT);
        let inside = |out: usize, i: usize| (out * STRIDE..out * STRIDE + KERNEL).contains(&(i + PAD));
        let window =
            (0..S * S).filter(|i| inside(y, i / S) && inside(x_out, i % S)).map(|i| plane * S * S + i);
        let largest = window.max_by(|a, b| x[*a].total_cmp(&x[*b])).unwrap();
        expected_y.push(f64::from(x[largest]));
        expected_dx[largest] += f64::from(*direction);
    }
    assert_close("y", &found_y, &expected_y);
    assert_close("dx", &grads.get(images.tensor()).as_vec(), &expected_dx);
}

#[test]
fn a_tie_belongs_to_the_first() {
    let dev = Cpu::default();
    let images: Images<Cpu, 1, 2> = images_from(&dev, &[0.0, 1.0, 1.0, 1.0]);
    let y: Images<Cpu, 1, 1, _> = MaxPool2d::<2, 2, 0>.forward(images.leaky_trace());
    let grads = y.into_tensor().sum::<Rank0, _>().backward();
    assert_eq!(grads.get(images.tensor()).as_vec(), [0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn global_average() {
    let dev = Cpu::default();
    let x = noise(1, 2 * 5 * 9);
    let images: Images<Cpu, 5, 3> = images_from(&dev, &x);
    let y: Features<Cpu, 5, _> = global_avg_pool(images.leaky_trace());
    let expected: Vec<f64> = wide(&x).chunks(9).map(|plane| plane.iter().sum::<f64>() / 9.0).collect();
    assert_close("y", &y.as_vec(), &expected);
    let direction = noise(2, 10);
    let grads = along(y, &direction).backward();
    let expected: Vec<f64> = direction.iter().flat_map(|v| [f64::from(*v) / 9.0; 9]).collect();
    assert_close("dx", &grads.get(images.tensor()).as_vec(), &expected);
}
