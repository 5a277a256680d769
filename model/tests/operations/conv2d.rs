use dfdx::prelude::*;
use simsiam_model::backend::Conv2dGeometry;
use simsiam_model::collective::Ranks;
use simsiam_model::layers::Conv2d;
use simsiam_model::{Images, images_from};

use crate::{along, assert_close, assert_is_gradient, dot, noise, oracle, wide};

#[test]
fn the_oracles_gradients_are_slopes() {
    for (kernel, stride, pad, in_size, out_size) in
        [(3, 1, 1, 4, 4), (3, 2, 1, 5, 3), (1, 2, 0, 4, 2), (2, 1, 0, 3, 2)]
    {
        let g = Conv2dGeometry { in_channels: 2, out_channels: 3, in_size, out_size, kernel, stride, pad };
        let x = wide(&noise(1, 2 * g.in_len()));
        let w = wide(&noise(2, g.weight_len()));
        let direction = wide(&noise(3, 2 * g.out_len()));
        let [grad_x, grad_w] = oracle::conv2d_backward(&g, &x, &w, &direction);
        assert_is_gradient("dx", &grad_x, &x, |x| dot(&oracle::conv2d(&g, x, &w), &direction));
        assert_is_gradient("dw", &grad_w, &w, |w| dot(&oracle::conv2d(&g, &x, w), &direction));
    }
}

#[test]
fn every_shape_agrees_with_the_oracle() {
    agree::<3, 16, 3, 1, 1, 32, 32>(2);
    agree::<16, 16, 3, 1, 1, 32, 32>(3);
    agree::<6, 8, 3, 1, 1, 16, 16>(5);
    agree::<64, 64, 3, 1, 1, 8, 8>(2);
    agree::<5, 7, 3, 1, 1, 9, 9>(3);
    agree::<4, 6, 3, 2, 1, 8, 4>(5);
    agree::<4, 6, 3, 2, 1, 7, 4>(5);
    agree::<3, 5, 7, 2, 3, 15, 8>(2);
    agree::<3, 5, 7, 2, 3, 64, 32>(2);
    agree::<6, 4, 1, 1, 0, 20, 20>(2);
    agree::<6, 4, 1, 1, 0, 3, 3>(4);
    agree::<6, 4, 1, 2, 0, 8, 4>(3);
    agree::<6, 4, 1, 2, 0, 7, 4>(3);
    agree::<300, 260, 1, 1, 0, 5, 5>(13);
    agree::<20, 420, 1, 2, 0, 9, 5>(9);
    agree::<2, 1, 1, 1, 0, 1, 1>(1);
    agree::<2, 3, 3, 1, 0, 5, 3>(3);
    agree::<2, 3, 5, 3, 2, 11, 4>(3);
    agree::<40, 24, 3, 1, 1, 4, 4>(37);
    agree::<3, 2, 3, 1, 1, 1, 1>(1);
}

/// Winograd's filtering at image sizes around its tiles', every remainder of channels, and few and many patches.
#[test]
fn winograd_agrees_with_the_oracle() {
    agree::<32, 32, 3, 1, 1, 1, 1>(1);
    agree::<33, 34, 3, 1, 1, 2, 2>(5);
    agree::<35, 36, 3, 1, 1, 3, 3>(1);
    agree::<37, 38, 3, 1, 1, 4, 4>(2);
    agree::<39, 40, 3, 1, 1, 5, 5>(37);
    agree::<41, 42, 3, 1, 1, 6, 6>(1);
    agree::<43, 44, 3, 1, 1, 7, 7>(9);
    agree::<45, 46, 3, 1, 1, 9, 9>(2);
    agree::<47, 48, 3, 1, 1, 11, 11>(1);
    agree::<33, 49, 3, 1, 1, 14, 14>(2);
    agree::<300, 100, 3, 1, 1, 7, 7>(8);
    agree::<100, 300, 3, 1, 1, 5, 5>(70);
    agree::<32, 32, 3, 1, 1, 56, 56>(1);
    agree::<32, 48, 3, 1, 1, 37, 37>(2);
    agree::<260, 32, 3, 1, 1, 1, 1>(70);
}

/// Few patches for the channels, and many.
#[test]
fn winograd_gives_the_same_bits_with_any_number_of_threads() {
    let results = |threads: usize, batch: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let dev = Cpu::default();
            let w = dev.tensor_from_vec(noise(2, 50 * 40 * 9), Default::default());
            let conv = Conv2d::<40, 50, 3, 1, 1, Cpu> { weight: w, ranks: Ranks::default() };
            let x: Images<Cpu, 40, 7> = images_from(&dev, &noise(1, batch * 40 * 49));
            let y: Images<Cpu, 50, 7, _> = conv.forward(x.leaky_trace());
            let found = y.as_vec();
            let grads = along(y.into_tensor(), &noise(3, batch * 50 * 49)).backward();
            (found, grads.get(x.tensor()).as_vec(), grads.get(&conv.weight).as_vec())
        })
    };
    for batch in [5, 60] {
        let one = results(1, batch);
        assert!(one == results(2, batch) && one == results(3, batch), "a batch of {batch}");
    }
}

fn agree<
    const IN: usize,
    const OUT: usize,
    const KERNEL: usize,
    const STRIDE: usize,
    const PAD: usize,
    const S: usize,
    const S_OUT: usize,
>(
    batch: usize,
) {
    let g = Conv2dGeometry {
        in_channels: IN,
        out_channels: OUT,
        in_size: S,
        out_size: S_OUT,
        kernel: KERNEL,
        stride: STRIDE,
        pad: PAD,
    };
    let dev = Cpu::default();
    let (x, w, direction) =
        (noise(1, batch * g.in_len()), noise(2, g.weight_len()), noise(3, batch * g.out_len()));
    let conv = Conv2d::<IN, OUT, KERNEL, STRIDE, PAD, Cpu> {
        weight: dev.tensor_from_vec(w.clone(), Default::default()),
        ranks: Ranks::default(),
    };
    let images: Images<Cpu, IN, S> = images_from(&dev, &x);

    let y: Images<Cpu, OUT, S_OUT, _> = conv.forward(images.leaky_trace());
    let found_y = y.as_vec();
    let grads = along(y.into_tensor(), &direction).backward();

    let (x, w) = (wide(&x), wide(&w));
    let [grad_x, grad_w] = oracle::conv2d_backward(&g, &x, &w, &wide(&direction));
    assert_close(&format!("y of {g:?}"), &found_y, &oracle::conv2d(&g, &x, &w));
    assert_close(&format!("dx of {g:?}"), &grads.get(images.tensor()).as_vec(), &grad_x);
    assert_close(&format!("dw of {g:?}"), &grads.get(&conv.weight).as_vec(), &grad_w);
}

#[test]
fn gradients_add_up() {
    let dev = Cpu::default();
    let conv = Conv2d::<2, 2, 3, 1, 1, Cpu> {
        weight: dev.tensor_from_vec(noise(2, 36), Default::default()),
        ranks: Ranks::default(),
    };
    let images: Images<Cpu, 2, 4> = images_from(&dev, &noise(1, 32));
    let once: Images<Cpu, 2, 4, _> = conv.forward(images.leaky_trace());
    let once = once.into_tensor().sum::<Rank0, _>().backward();
    let first: Images<Cpu, 2, 4, _> = conv.forward(images.leaky_trace());
    let second: Images<Cpu, 2, 4, _> = conv.forward(images.leaky_trace());
    let twice = (first.into_tensor() + second.into_tensor()).sum::<Rank0, _>().backward();
    let doubled = |t: Vec<f32>| -> Vec<f64> { t.iter().map(|v| 2.0 * f64::from(*v)).collect() };
    assert_close("dx", &twice.get(images.tensor()).as_vec(), &doubled(once.get(images.tensor()).as_vec()));
    assert_close("dw", &twice.get(&conv.weight).as_vec(), &doubled(once.get(&conv.weight).as_vec()));
}
