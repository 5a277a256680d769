//! A small network: determinism over threads, learning, memory of the optimiser, and state out and in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dfdx::prelude::*;
use simsiam_model::collective::Ranks;
use simsiam_model::encoders::{Backbone, Encoder, ResNet8, ResNet18, ResNet20, ResNet50};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{Batch, Method, SimSiam, SimSiamConfig, Targets};
use simsiam_model::state::{self, NamedTensor, StateError};
use simsiam_model::{LearningRates, Module, Sgd, SgdConfig, TargetGradient, View, images_from};

type Model = SimSiam<64, 96, 96, 32, Cpu>;

const CONFIG: SgdConfig = SgdConfig { momentum: 0.9, weight_decay: 5e-4 };

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut model = model(3);
            let losses = train(&mut model, &mut Sgd::new(CONFIG), 2);
            (losses, state::export(&model))
        })
    };
    let one = run(1);
    assert!(one == run(2), "2 threads differ from 1");
    assert!(one == run(3), "3 threads differ from 1");
}

#[test]
fn a_gradient_that_flows_into_the_target_finds_the_trivial_minimum_sooner() {
    let last_loss = |gradient| {
        let config = SimSiamConfig { targets: Targets::Online(gradient), ..SimSiamConfig::new(2) };
        let mut model = Model::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
        *train(&mut model, &mut Sgd::new(CONFIG), 15).last().unwrap()
    };
    let (stopped, flowing) = (last_loss(TargetGradient::Stopped), last_loss(TargetGradient::Flows));
    assert!(stopped < -0.3, "it learns: {stopped}");
    assert!(flowing < stopped - 0.2, "{stopped} with the stopped gradient, {flowing} without");
}

#[test]
fn state_makes_a_round_trip_and_training_goes_on_exactly() {
    let (mut model, mut sgd) = (model(2), Sgd::new(CONFIG));
    train(&mut model, &mut sgd, 2);
    let (values, velocity) = (state::export(&model), sgd.export());

    let mut other = Model::new(encoder(99), &Cpu::default(), &SimSiamConfig::new(2), &InitRng::new(99));
    let mut other_sgd = Sgd::new(CONFIG);
    state::import(&mut other, &values).unwrap();
    other_sgd.import(&other, &velocity).unwrap();
    let expected = train(&mut model, &mut sgd, 2);
    assert_eq!(train(&mut other, &mut other_sgd, 2), expected);
    assert!(state::export(&other) == state::export(&model));

    other_sgd.import(&other, &[]).unwrap();
    assert!(other_sgd.export().is_empty());
}

#[test]
fn state_that_does_not_fit_changes_nothing() {
    let mut model = model(2);
    let before = state::export(&model);
    let mut values: Vec<NamedTensor> = before.clone();
    values.iter_mut().for_each(|tensor| tensor.data.fill(7.0));
    let mut refused = |change: &dyn Fn(&mut Vec<NamedTensor>)| {
        let mut values = values.clone();
        change(&mut values);
        let error = state::import(&mut model, &values).unwrap_err();
        assert!(state::export(&model) == before, "{error} changed the network");
        error
    };

    let missing = refused(&|values| drop(values.pop()));
    assert_eq!(missing.to_string(), "tensor \"predictor.3.bias\" is missing");
    let unknown =
        refused(&|values| values.push(NamedTensor { name: "x".into(), shape: vec![], data: vec![0.0] }));
    assert_eq!(unknown, StateError::Unknown("x".into()));
    let twice = refused(&|values| values.push(values[0].clone()));
    assert_eq!(twice, StateError::Duplicate("encoder.conv1.weight".into()));
    let shape = refused(&|values| values[0].shape = vec![16, 27]);
    assert_eq!(
        shape.to_string(),
        "tensor \"encoder.conv1.weight\" has shape [16, 27], the network's is [16, 3, 3, 3]"
    );
    let length = refused(&|values| values[0].data.truncate(5));
    assert_eq!(length.to_string(), "tensor \"encoder.conv1.weight\" has 5 values, its shape says 432");

    let mut sgd = Sgd::<Cpu>::new(CONFIG);
    assert!(matches!(sgd.import(&model, &before[..1]), Err(StateError::Shape { .. })));
}

#[test]
fn names_are_pytorchs() {
    let names = |layers| -> Vec<String> {
        state::export(&model(layers)).into_iter().map(|tensor| tensor.name).collect()
    };
    let three = names(3);
    for name in [
        "encoder.bn1.running_var",
        "encoder.layer1.0.conv2.weight",
        "encoder.layer2.0.downsample.0.weight",
        "encoder.layer3.0.downsample.1.bias",
        "projector.0.weight",
        "projector.3.weight",
        "projector.4.weight",
        "projector.6.weight",
        "projector.7.running_mean",
        "predictor.0.weight",
        "predictor.1.bias",
        "predictor.3.bias",
    ] {
        assert!(three.iter().any(|found| found == name), "{name}");
    }
    assert!(!three.iter().any(|found| found == "projector.7.weight"));
    let two = names(2);
    assert!(two.iter().any(|found| found == "projector.4.running_mean"));
    assert!(!two.iter().any(|found| found == "projector.6.weight"));
}

#[test]
fn residual_blocks_begin_as_the_identity() {
    let values = state::export(&model(2));
    let ends = |name: &str| name.ends_with("bn2.weight");
    let scales: Vec<_> = values.iter().filter(|tensor| ends(&tensor.name)).collect();
    assert_eq!(scales.len(), 3);
    assert!(scales.iter().all(|tensor| tensor.data.iter().all(|v| *v == 0.0)));
}

#[test]
fn evaluation_gives_finite_features_of_every_encoder() {
    finite::<ResNet8<Cpu>, 32, 64>();
    finite::<ResNet20<Cpu>, 32, 64>();
    finite::<ResNet18<Cpu>, 64, 512>();
    finite::<ResNet18<Cpu>, 96, 512>();
    finite::<ResNet18<Cpu>, 128, 512>();
    finite::<ResNet18<Cpu>, 160, 512>();
    finite::<ResNet50<Cpu>, 64, 2048>();
}

fn finite<E: Encoder<Cpu, SIZE, FEATURES> + Module<Cpu>, const SIZE: usize, const FEATURES: usize>() {
    let dev = Cpu::default();
    let mut encoder = E::new(&dev, &InitRng::new(0));
    let pixels: Vec<f32> = (0..2 * 3 * SIZE * SIZE).map(|i| (i as f32 * 0.37).sin()).collect();
    let trained = encoder.forward_mut(images_from(&dev, &pixels).leaky_traced());
    let evaluated = encoder.forward(images_from(&dev, &pixels));
    for features in [trained.as_vec(), evaluated.as_vec()] {
        assert_eq!(features.len(), 2 * FEATURES);
        assert!(features.iter().all(|v| v.is_finite()));
        assert!(features.iter().any(|v| *v != 0.0));
    }
}

fn model(projector_layers: usize) -> Model {
    Model::new(encoder(0), &Cpu::default(), &SimSiamConfig::new(projector_layers), &InitRng::new(0))
}

/// Twelve images.
fn batch(view: usize) -> Vec<f32> {
    let pixel = |i: usize| ((i % 3072) as f32 * 0.01 * (i / 3072 + 1) as f32 + view as f32).sin();
    (0..12 * 3072).map(pixel).collect()
}

/// Trains on the same two views and returns the losses.
fn train<M: Method<Cpu>>(model: &mut M, sgd: &mut Sgd<Cpu>, steps: usize) -> Vec<f32> {
    let dev = Cpu::default();
    let mut grads = Some(model.alloc_grads());
    let step = |_| {
        let views = [1, 2].map(|view| View::copied(&dev, 32, &batch(view))).to_vec();
        let loss =
            model.loss(Batch { views, samples: &[], ranks: &Ranks::default() }, grads.take().unwrap()).loss;
        let value = loss.array();
        let mut gradients = loss.backward();
        sgd.update(model, &mut gradients, &LearningRates::all(0.05)).unwrap();
        model.zero_grads(&mut gradients);
        grads = Some(gradients);
        value
    };
    (0..steps).map(step).collect()
}

fn encoder(seed: u64) -> Backbone<64, Cpu> {
    Backbone::new::<ResNet8<Cpu>>(32, &Cpu::default(), &InitRng::new(seed).child("encoder"))
}
