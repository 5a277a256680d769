//! SimSiam steps of the CIFAR ResNet-18 against PyTorch's in float64 (`golden/make_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hashed;

use dfdx::prelude::*;
use serde_json::Value;
use simsiam_model::collective::Ranks;
use simsiam_model::encoders::{Backbone, ResNet18Cifar};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{Batch, Method, SimSiam, SimSiamConfig, Targets};
use simsiam_model::state::{self, NamedTensor};
use simsiam_model::{LearningRates, NamedTensors, Sgd, SgdConfig, TargetGradient, View};

use hashed::Hashed;

const BATCH: usize = 8;
const TOLERANCE: f64 = 1e-4;

type Model = SimSiam<512, 2048, 2048, 512, Cpu>;

#[test]
fn two_steps_agree_with_pytorch() {
    let (golden, hashed) = golden();
    let mut model = model(hashed, TargetGradient::Stopped);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 1e-4 });
    for (step, expected) in golden["steps"].as_array().unwrap().iter().enumerate() {
        let (loss, mut grads) = loss_and_gradients(&mut model, hashed);
        assert_loss(loss, expected);
        assert_agree(
            &format!("step {step}, gradient"),
            hashed,
            &gradients(&model, &grads),
            &expected["gradients"],
        );
        sgd.update(&mut model, &mut grads, &LearningRates { predictor: 0.1, ..LearningRates::all(0.05) })
            .unwrap();
        assert_agree(&format!("step {step}, value"), hashed, &state::export(&model), &expected["values"]);
    }
}

#[test]
fn gradients_that_flow_into_the_target_agree_with_pytorch() {
    let (golden, hashed) = golden();
    let mut model = model(hashed, TargetGradient::Flows);
    let (loss, grads) = loss_and_gradients(&mut model, hashed);
    assert_loss(loss, &golden["flowing"]);
    assert_agree("gradient", hashed, &gradients(&model, &grads), &golden["flowing"]["gradients"]);
}

fn golden() -> (Value, Hashed) {
    let golden: Value = serde_json::from_str(include_str!("golden/step.json")).unwrap();
    let hashed = Hashed { seed: golden["seed"].as_u64().unwrap() };
    (golden, hashed)
}

/// The network with the golden file's initial values.
fn model(hashed: Hashed, gradient: TargetGradient) -> Model {
    let config = SimSiamConfig { targets: Targets::Online(gradient), ..SimSiamConfig::new(2) };
    let mut model = Model::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
    let mut values = state::export(&model);
    for tensor in &mut values {
        tensor.data = hashed.initial(&tensor.name, &tensor.shape);
    }
    state::import(&mut model, &values).unwrap();
    model
}

fn loss_and_gradients(model: &mut Model, hashed: Hashed) -> (f32, Gradients<f32, Cpu>) {
    let dev = Cpu::default();
    let views = ["view1", "view2"].map(|view| View::copied(&dev, 32, &hashed.images(view, BATCH)));
    let grads = Method::alloc_grads(model);
    let loss =
        model.loss(Batch { views: views.to_vec(), samples: &[], ranks: &Ranks::default() }, grads).loss;
    (loss.array(), loss.backward())
}

fn gradients(model: &Model, grads: &Gradients<f32, Cpu>) -> Vec<NamedTensor> {
    let mut named = Vec::new();
    model.visit("", &mut |name, is_parameter, tensor| {
        if is_parameter {
            let (name, shape) = (name.to_owned(), tensor.sizes());
            named.push(NamedTensor { name, shape, data: tensor.gradient(grads) });
        }
    });
    named
}

/// The first loss is a mean of cosines of about 0.02 that nearly cancel: its error is measured against one of them.
fn assert_loss(loss: f32, expected: &Value) {
    let expected = expected["loss"].as_f64().unwrap();
    let error = (f64::from(loss) - expected).abs();
    assert!(error < TOLERANCE * expected.abs().max(0.02), "loss {loss}, PyTorch's {expected}");
}

/// Compares every tensor's norm, its projections, and its sampled elements taken together, relative to the norm.
///
/// A batch norm's shift is all but undone by the batch norms behind it, so that its gradient nearly cancels: the error
/// is measured against the norm of the scale's gradient, where that is larger.
fn assert_agree(what: &str, hashed: Hashed, found: &[NamedTensor], expected: &Value) {
    assert_eq!(found.len(), expected.as_object().unwrap().len(), "{what}: number of tensors");
    let norm_of = |name: &str| expected[name]["norm"].as_f64();
    let mut worst = (0.0, String::new());
    for NamedTensor { name, data, .. } in found {
        let scale = name.strip_suffix("bias").and_then(|stem| norm_of(&format!("{stem}weight")));
        let norm = norm_of(name)
            .unwrap()
            .max(scale.filter(|_| name.contains("bn") || name.contains("downsample")).unwrap_or(0.0));
        let numbers = |key: &str| expected[name][key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
        let mut compare = |kind: &str, error: f64| {
            if error / norm > worst.0 || error.is_nan() {
                worst = (error / norm, format!("{kind} of {name}"));
            }
        };
        compare("norm", (hashed::norm(data) - norm_of(name).unwrap()).abs());
        for (i, projection) in numbers("projections").enumerate() {
            compare(
                "projection",
                (hashed.project(&format!("{name}.projection{i}"), data) - projection).abs(),
            );
        }
        let places = hashed.places(name, numbers("samples").len(), data.len());
        let share = data.len() as f64 / places.len() as f64;
        let squares =
            places.into_iter().zip(numbers("samples")).map(|(at, v)| (f64::from(data[at]) - v).powi(2));
        compare("samples", (squares.sum::<f64>() * share).sqrt());
    }
    println!("{what}: largest error {:.1e}, the {}", worst.0, worst.1);
    assert!(worst.0 < TOLERANCE, "{what}: the {} is off by {:.1e}", worst.1, worst.0);
}

fn encoder(seed: u64) -> Backbone<512, Cpu> {
    Backbone::new::<ResNet18Cifar<Cpu>>(32, &Cpu::default(), &InitRng::new(seed).child("encoder"))
}
