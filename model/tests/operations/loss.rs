use dfdx::prelude::*;
use simsiam_model::objective::negative_cosine;
use simsiam_model::{Features, TargetGradient};

use crate::{assert_is_gradient, noise, oracle, wide};

const DIM: usize = 7;

#[test]
fn value_and_slopes() {
    let (p, z) = (noise(1, 3 * DIM), noise(2, 3 * DIM));
    let [_, grad_p, grad_z] = found(&p, &z, TargetGradient::Flows);
    let (p, z) = (wide(&p), wide(&z));
    assert_is_gradient("dp", &grad_p, &p, |p| oracle::negative_cosine(p, &z, DIM));
    assert_is_gradient("dz", &grad_z, &z, |z| oracle::negative_cosine(&p, z, DIM));
}

#[test]
fn a_stopped_gradient_does_not_reach_the_target() {
    let (p, z) = (noise(1, 3 * DIM), noise(2, 3 * DIM));
    let [value, grad_p, grad_z] = found(&p, &z, TargetGradient::Stopped);
    assert!((value[0] - oracle::negative_cosine(&wide(&p), &wide(&z), DIM)).abs() < 1e-7);
    assert!(grad_p.iter().any(|v| *v != 0.0));
    assert!(grad_z.iter().all(|v| *v == 0.0));
}

#[test]
fn equal_directions_give_minus_one_and_zeros_give_zero() {
    let p = noise(1, 2 * DIM);
    let doubled: Vec<f32> = p.iter().map(|v| 2.0 * v).collect();
    assert!((found(&p, &doubled, TargetGradient::Stopped)[0][0] + 1.0).abs() < 1e-6);
    let [value, grad_p, _] = found(&[0.0; DIM], &p[..DIM], TargetGradient::Stopped);
    assert_eq!(value[0], 0.0);
    assert!(grad_p.iter().all(|v| v.is_finite()));
}

/// The loss, and its gradients at `p` and `z`.
fn found(p: &[f32], z: &[f32], target: TargetGradient) -> [Vec<f64>; 3] {
    let dev = Cpu::default();
    let batch = p.len() / DIM;
    let p: Features<Cpu, DIM> = dev.tensor_from_vec(p.to_vec(), (batch, Const));
    let z: Features<Cpu, DIM> = dev.tensor_from_vec(z.to_vec(), (batch, Const));
    let loss = negative_cosine(p.leaky_trace(), z.clone(), target);
    let value = loss.array();
    let mut grads = loss.backward();
    grads.get_or_alloc_mut(&z).unwrap();
    [vec![f64::from(value)], wide(&grads.get(&p).as_vec()), wide(&grads.get(&z).as_vec())]
}
