//! Whole training steps with each set of instructions, side by side: the same bits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dfdx::prelude::*;
use simsiam_model::arch::Arch;
use simsiam_model::backend::cpu::{Instructions, Precision, in_precision};
use simsiam_model::collective::Ranks;
use simsiam_model::encoders::{Backbone, ResNet50};
use simsiam_model::heads::HeadConfig;
use simsiam_model::init::InitRng;
use simsiam_model::methods::{Batch, Method, MethodName, Scale, Settings, SimSiam, SimSiamConfig};
use simsiam_model::network::Networks;
use simsiam_model::state::{self, NamedTensor};
use simsiam_model::{LearningRates, Sgd, SgdConfig, View};

const IMAGES: usize = 3;
const STEPS: u64 = 2;

/// What a run came to: losses, and everything that a checkpoint holds of the network.
type Trained = (Vec<f64>, Vec<NamedTensor>);

#[test]
fn every_instruction_set_trains_to_the_same_bits() {
    let runs = || -> Vec<(&str, Trained)> {
        let mut runs: Vec<_> =
            MethodName::ALL.iter().map(|method| (method.name(), trained(*method))).collect();
        let bf16 = in_precision(Precision::Bf16, |_| trained(MethodName::SimSiam));
        runs.extend([("simsiam in bf16", bf16), ("simsiam on ResNet-50", trained_resnet50())]);
        runs
    };
    let mut expected = None;
    for set in [Instructions::Scalar, Instructions::Avx2, Instructions::Avx512] {
        if set > Instructions::detected() {
            eprintln!("{set:?} is not compared: this processor does not have it");
            continue;
        }
        set.limit();
        let found = runs();
        for ((name, found), (_, expected)) in found.iter().zip(expected.get_or_insert_with(|| found.clone()))
        {
            assert_eq!(found.0, expected.0, "{name}: losses with {set:?}");
            assert!(found.1 == expected.1, "{name}: weights with {set:?}");
        }
    }
    let (_, (in_bf16, _)) = &expected.unwrap()[MethodName::ALL.len()];
    for set in [Instructions::Avx512Bf16, Instructions::Amx] {
        let Some(losses) = with_products_in_bf16(set) else { continue };
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 0.02 * b.abs().max(1.0);
        assert!(losses.iter().zip(in_bf16).all(close), "{losses:?} with {set:?}, {in_bf16:?} without");
    }
}

/// Instructions for bf16 sum in an order of their own: the same bits for any number of threads, but not those of the others.
fn with_products_in_bf16(set: Instructions) -> Option<Vec<f64>> {
    if Instructions::detected() < set {
        eprintln!("{set:?} is not compared: this processor does not have it");
        return None;
    }
    set.limit();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| in_precision(Precision::Bf16, |_| trained(MethodName::SimSiam)))
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one.0, three.0, "losses of one and of three threads with {set:?}");
    assert!(one.1 == three.1, "weights of one and of three threads with {set:?}");
    Some(one.0)
}

/// Every method with its authors' settings, but for SimSiam's outputs and MoCo's queue, which are smaller.
fn settings(method: MethodName) -> Settings {
    let defaults = method.defaults(Scale::Small);
    let dim = if method == MethodName::SimSiam { 256 } else { defaults.dim };
    Settings {
        heads: HeadConfig { projector_layers: defaults.projector_layers.unwrap_or(2), norm: defaults.norm },
        temperature: defaults.temperature,
        target_momentum: defaults.target_momentum,
        queue: defaults.queue.map(|_| 1500),
        ..Settings::new(2, dim)
    }
}

fn trained(method: MethodName) -> Trained {
    let mut model = Cpu::default().network(Arch::Resnet8, 32, method, &settings(method), &InitRng::new(0));
    let (mut sgd, mut grads) = (sgd(), model.alloc_grads());
    let samples: Vec<usize> = (0..IMAGES).collect();
    let mut losses = Vec::new();
    for step in 1..=STEPS {
        let views: Vec<_> =
            model.view_sizes().into_iter().enumerate().map(|(view, size)| pixels(view, size)).collect();
        let loss = model.loss(views.into_iter(), &samples, grads);
        let measured = loss.measured().unwrap();
        losses.push(measured.loss);
        losses.extend(measured.spreads.iter().flat_map(|spread| [spread.std, spread.effective_rank]));
        grads = loss.loss.backward();
        sgd.update(&mut model, &mut grads, &LearningRates::all(0.05)).unwrap();
        model.zero_grads(&mut grads);
        model.end_step(step, step as f64 / STEPS as f64);
    }
    (losses, state::export(&model))
}

/// A step of an encoder with the kernels that the small ones have no use for: 1x1 and 7x7 filters, and max pooling.
fn trained_resnet50() -> Trained {
    let (dev, rng) = (Cpu::default(), InitRng::new(0));
    let encoder = Backbone::new::<ResNet50<Cpu>>(64, &dev, &rng.child("encoder"));
    let mut model = SimSiam::<2048, 64, 64, 16, Cpu>::new(encoder, &dev, &SimSiamConfig::new(3), &rng);
    let views = [0, 1].map(|view| View::copied(&dev, 64, &pixels(view, 64))).to_vec();
    let grads = Method::alloc_grads(&model);
    let loss = model.loss(Batch { views, samples: &[], ranks: &Ranks::default() }, grads);
    let value = loss.measured().unwrap().loss;
    let mut grads = loss.loss.backward();
    sgd().update(&mut model, &mut grads, &LearningRates::all(0.05)).unwrap();
    (vec![value], state::export(&model))
}

fn sgd() -> Sgd<Cpu> {
    Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 })
}

/// One view of all images.
fn pixels(view: usize, size: usize) -> Vec<f32> {
    let image = 3 * size * size;
    let pixel = |i: usize| ((i % image) as f32 * 0.01 * (i / image + 1) as f32 + view as f32).sin();
    (0..IMAGES * image).map(pixel).collect()
}
