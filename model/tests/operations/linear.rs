use dfdx::prelude::*;
use simsiam_model::Features;
use simsiam_model::collective::Ranks;
use simsiam_model::layers::Linear;

use crate::{along, assert_close, dot, noise, oracle, wide};

#[test]
fn every_shape_agrees_with_the_oracle() {
    agree::<3, 5>(4);
    agree::<1, 1>(1);
    agree::<300, 17>(9);
    agree::<17, 600>(9);
    agree::<512, 512>(2);
}

/// The function is linear in each argument, so a gradient is right if its product with the argument gives the value.
fn agree<const IN: usize, const OUT: usize>(batch: usize) {
    let dev = Cpu::default();
    let [x, w, b, direction] =
        [(1, batch * IN), (2, OUT * IN), (3, OUT), (4, batch * OUT)].map(|(seed, n)| noise(seed, n));
    let layer = Linear::<IN, OUT, Cpu> {
        weight: dev.tensor_from_vec(w.clone(), Default::default()),
        bias: Some(dev.tensor_from_vec(b.clone(), Default::default())),
        ranks: Ranks::default(),
    };
    let input: Features<Cpu, IN> = dev.tensor_from_vec(x.clone(), (batch, Const));
    let y = layer.forward(input.leaky_trace());
    let found_y = y.as_vec();
    let grads = along(y, &direction).backward();

    let [x, w, b, direction] = [x, w, b, direction].map(|v| wide(&v));
    assert_close("y", &found_y, &oracle::linear(&x, &w, &b));
    // dx = dy W, dW = dy^T x, db = sum of dy, each as a linear map of rows without bias.
    let transposed = |m: &[f64], cols: usize| -> Vec<f64> {
        (0..m.len()).map(|i| m[i % (m.len() / cols) * cols + i / (m.len() / cols)]).collect()
    };
    let grad_x = oracle::linear(&direction, &transposed(&w, IN), &[0.0; IN]);
    let grad_w = oracle::linear(&transposed(&direction, OUT), &transposed(&x, IN), &[0.0; IN]);
    let grad_b: Vec<f64> = (0..OUT).map(|o| direction.iter().skip(o).step_by(OUT).sum()).collect();
    assert_close("dx", &grads.get(&input).as_vec(), &grad_x);
    assert_close("dW", &grads.get(&layer.weight).as_vec(), &grad_w);
    assert_close("db", &grads.get(layer.bias.as_ref().unwrap()).as_vec(), &grad_b);
    let value = dot(&oracle::linear(&x, &w, &[0.0; OUT]), &direction);
    assert!((dot(&grad_x, &x) - value).abs() < 1e-9 * value.abs().max(1.0));
    assert!((dot(&grad_w, &w) - value).abs() < 1e-9 * value.abs().max(1.0));
}
