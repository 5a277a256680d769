//! Every method's loss and its gradients against PyTorch's in float64 (`golden/make_losses.py`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dfdx::prelude::*;
use serde_json::Value;
use simsiam_model::objective::{
    Loss, VicRegWeights, barlow_twins, channel_cross_entropy, info_nce, negative_cosine, nt_xent, sinkhorn,
    swapped_prediction, unit, vicreg,
};
use simsiam_model::tensors::Taped;
use simsiam_model::{Features, TargetGradient};

const DIM: usize = 8;
const TOLERANCE: f64 = 1e-5;

type Matrix = Features<Cpu, DIM>;
type TapedMatrix = Features<Cpu, DIM, Taped<Cpu>>;

#[test]
fn simsiam_and_byol() {
    agree("simsiam", |a, b, golden| {
        let (first, second) = (golden.input("a"), golden.input("b"));
        let one = negative_cosine(a, second, TargetGradient::Stopped);
        (one + negative_cosine(b, first, TargetGradient::Stopped)) * 0.5
    });
}

#[test]
fn cross_entropy_over_channels() {
    agree("cross-entropy", |a, b, _| channel_cross_entropy(a, b.split_tape().0, TargetGradient::Stopped));
    agree("cross-entropy, flowing", |a, b, _| {
        let (b, tape) = b.split_tape();
        let (loss, own) = channel_cross_entropy(a, b, TargetGradient::Flows).split_tape();
        loss.put_tape(own.merge(tape))
    });
}

#[test]
fn simclr() {
    agree("simclr 0.5", |a, b, _| nt_xent(a, b, 0.5));
    agree("simclr 0.1", |a, b, _| nt_xent(a, b, 0.1));
}

#[test]
fn moco_v2() {
    agree("mocov2", |a, b, golden| info_nce(a, unit(b.split_tape().0), &unit(golden.input("queue")), 0.2));
}

#[test]
fn swav() {
    agree("swav", |a, b, golden| {
        let codes = ["a", "b"].map(|name| sinkhorn(&(golden.input(name) * 0.25), 0.05, 3));
        swapped_prediction(vec![a * 0.25, b * 0.25], &codes, 0.1)
    });
}

#[test]
fn swav_of_two_full_size_and_two_small_views() {
    agree_on("swav, multi-crop", &["a", "b", "c", "d"], |views, golden| {
        let codes = ["a", "b"].map(|name| sinkhorn(&(golden.input(name) * 0.25), 0.05, 3));
        swapped_prediction(views.into_iter().map(|scores| scores * 0.25).collect(), &codes, 0.1)
    });
}

#[test]
fn barlow_twins_and_vicreg() {
    agree("barlow twins", |a, b, _| barlow_twins(a, b, 0.0051));
    let weights = VicRegWeights { invariance: 25.0, variance: 25.0, covariance: 1.0 };
    agree("vicreg", |a, b, _| vicreg(a, b, weights));
}

#[test]
fn codes_are_the_transport_plan() {
    let golden = Golden::read();
    let codes = sinkhorn(&(golden.input("a") * 0.25), 0.05, 3).as_vec();
    assert_near("codes", &codes, &numbers(&golden.0["cases"]["sinkhorn"]["codes"]));
    assert!(codes.chunks(DIM).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
    // Many iterations use all prototypes equally: a sixth of a sample for each of eight, for six samples.
    let even = sinkhorn(&(golden.input("a") * 0.25), 0.05, 200).as_vec();
    for prototype in 0..DIM {
        let used: f32 = even.iter().skip(prototype).step_by(DIM).sum();
        assert!((used - 6.0 / 8.0).abs() < 1e-4, "{used}");
    }
}

struct Golden(Value);

impl Golden {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("golden/losses.json")).unwrap())
    }

    fn input(&self, name: &str) -> Matrix {
        let values: Vec<f32> = numbers(&self.0["inputs"][name]).into_iter().map(|v| v as f32).collect();
        let rows = values.len() / DIM;
        Cpu::default().tensor_from_vec(values, (rows, Const))
    }
}

fn agree(case: &str, loss: impl FnOnce(TapedMatrix, TapedMatrix, &Golden) -> Loss<Cpu>) {
    agree_on(case, &["a", "b"], |inputs, golden| {
        let [a, b] = <[_; 2]>::try_from(inputs).unwrap();
        loss(a, b, golden)
    });
}

fn agree_on(case: &str, inputs: &[&str], loss: impl FnOnce(Vec<TapedMatrix>, &Golden) -> Loss<Cpu>) {
    let golden = Golden::read();
    let tensors: Vec<Matrix> = inputs.iter().map(|name| golden.input(name)).collect();
    let expected = &golden.0["cases"][case];
    let loss = loss(tensors.iter().map(|tensor| tensor.leaky_trace()).collect(), &golden);
    assert_near(case, &[loss.array()], &[expected["loss"].as_f64().unwrap()]);
    let mut grads = loss.backward();
    for (name, tensor) in inputs.iter().zip(&tensors) {
        let expected = numbers(&expected[&format!("grad_{name}")]);
        grads.get_or_alloc_mut(tensor).unwrap();
        let found = grads.get(tensor).as_vec();
        let expected = if expected.is_empty() { vec![0.0; found.len()] } else { expected };
        assert_near(&format!("{case}, gradient of {name}"), &found, &expected);
    }
}

/// Relative to the largest value.
fn assert_near(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |most, v| most.max(v.abs())).max(1e-3);
    let errors = found.iter().zip(expected).map(|(found, expected)| (f64::from(*found) - expected).abs());
    let worst = errors.fold(0.0, f64::max) / scale;
    println!("{what}: largest error {worst:.1e}");
    assert!(worst < TOLERANCE, "{what} is off by {worst:.1e}");
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}
