//! The methods beside SimSiam: how they relate to it, what they keep beside weights, and that they learn.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dfdx::prelude::*;
use simsiam_model::collective::Ranks;
use simsiam_model::encoders::{Backbone, ResNet8};
use simsiam_model::heads::{HeadConfig, HeadNorm};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{
    BarlowTwins, BarlowTwinsConfig, Batch, Byol, ByolConfig, Method, MoCoV2, MoCoV2Config, SimClr,
    SimClrConfig, SimSiam, SimSiamConfig, Similarity, SwAv, SwAvConfig, Symmetry, Targets, VicReg,
    VicRegConfig,
};
use simsiam_model::objective::{VicRegWeights, unit};
use simsiam_model::state::{self, NamedTensor};
use simsiam_model::{LearningRates, NamedTensors, Sgd, SgdConfig, View};

const IMAGES: usize = 12;
const SGD: SgdConfig = SgdConfig { momentum: 0.9, weight_decay: 5e-4 };
const HEADS: HeadConfig = HeadConfig { projector_layers: 2, norm: HeadNorm::Hidden };

#[test]
fn byol_whose_target_is_the_network_is_simsiam_step_for_step() {
    let simsiam = SimSiamConfig::new(2);
    let config = ByolConfig { heads: simsiam.heads, symmetry: Symmetry::Symmetric, momentum: 0.0 };
    let mut byol = Byol::<64, 48, 48, 12, Cpu>::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
    same_training(&mut self::simsiam(&simsiam), &mut byol);
}

#[test]
fn alternating_every_step_is_simsiam() {
    let config = SimSiamConfig::new(2);
    let alternating = SimSiamConfig { targets: Targets::Copy { every: 1 }, ..config };
    same_training(&mut simsiam(&config), &mut simsiam(&alternating));
}

#[test]
fn alternating_less_often_keeps_the_targets() {
    let config = SimSiamConfig { targets: Targets::Copy { every: 3 }, ..SimSiamConfig::new(2) };
    let mut model = simsiam(&config);
    let projection = |values: &[NamedTensor]| -> Vec<f32> {
        values.iter().find(|tensor| tensor.name == "target.projector.0.weight").unwrap().data.clone()
    };
    let untrained = projection(&state::export(&model));
    let mut training = Training::new(&model);
    training.steps(&mut model, 0..2);
    assert_eq!(projection(&state::export(&model)), untrained);
    training.steps(&mut model, 2..3);
    let renewed = state::export(&model);
    assert_ne!(projection(&renewed), untrained);
    assert_eq!(projection(&renewed), model.f_weights());
}

#[test]
fn the_target_of_byol_moves_slowly_and_ends_at_rest() {
    let config = ByolConfig { heads: HEADS, symmetry: Symmetry::Symmetric, momentum: 0.75 };
    let mut model = Byol::<64, 48, 16, 48, Cpu>::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
    let weight = |values: Vec<NamedTensor>, name: &str| -> f32 {
        values.into_iter().find(|tensor| tensor.name == name).unwrap().data[0]
    };
    let before = weight(state::export(&model), "target.projector.3.weight");
    Training::new(&model).steps(&mut model, 0..1);
    let online = weight(state::export(&model), "projector.3.weight");
    // After one step of ten: 1 - 0.25 (cos(pi / 10) + 1) / 2.
    let momentum = 1.0 - 0.25 * ((std::f32::consts::PI * 0.1).cos() + 1.0) / 2.0;
    let expected = momentum * before + (1.0 - momentum) * online;
    let found = weight(state::export(&model), "target.projector.3.weight");
    assert!((found - expected).abs() < 1e-7, "{found}, not {expected}");
    Method::end_step(&mut model, 10, 1.0);
    assert_eq!(weight(state::export(&model), "target.projector.3.weight"), found);
}

#[test]
fn the_queue_holds_the_newest_keys() {
    let mut model = moco(IMAGES + 5);
    let mut training = Training::new(&model);
    let keys = |model: &MoCoV2<64, 48, 16, Cpu>| model.queue.keys.as_vec();
    let first = keys(&model);
    assert!(first.chunks(16).all(|key| (key.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5));
    let mut target = model.target.clone();
    training.steps(&mut model, 0..1);
    // The targets of the second view, then of the first: 24 in a ring of 17, so the last 17 of them, and the next place is
    // 24 - 17.
    let expected: Vec<f32> =
        [1, 0].into_iter().flat_map(|view| unit(target.target(&images(view + 1))).as_vec()).collect();
    let second = keys(&model);
    for (place, key) in (0..2 * IMAGES).map(|i| i % (IMAGES + 5)).zip(expected.chunks(16)).skip(7) {
        assert_eq!(&second[place * 16..][..16], key, "the key in place {place}");
    }
    assert_eq!(model.queue.next.count, 7);
}

#[test]
fn the_loss_of_equal_outputs_is_what_methods_say() {
    /// Of a batch of one image again and again, once MoCo's queue holds nothing else.
    fn losses<M: Method<Cpu>>(mut model: M) -> (f64, Option<f64>) {
        let image = || View::copied(&Cpu::default(), 32, &[0.5; IMAGES * 3072]);
        let mut pass = || {
            let grads = model.alloc_grads();
            let step = model
                .loss(Batch { views: vec![image(), image()], samples: &[], ranks: &Ranks::default() }, grads);
            let found = (step.measured().unwrap().loss, step.equal_loss);
            model.end_step(1, 0.0);
            found
        };
        pass();
        pass()
    }
    let simclr = SimClrConfig { heads: HEADS, temperature: 0.5 };
    let simclr = SimClr::<64, 48, 16, Cpu>::new(encoder(0), &Cpu::default(), &simclr, &InitRng::new(0));
    for (loss, equal) in [losses(simclr), losses(moco(2 * IMAGES))] {
        assert!((loss - equal.unwrap()).abs() < 1e-4, "{loss}, not {equal:?}");
    }
    let normed = HeadConfig { norm: HeadNorm::Default, ..HEADS };
    let config = BarlowTwinsConfig { heads: normed, lambda: 0.0051, scale: 0.5 };
    let barlow = BarlowTwins::<64, 48, 48, Cpu>::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
    let weights = VicRegWeights { invariance: 25.0, variance: 25.0, covariance: 1.0 };
    let config = VicRegConfig { heads: HEADS, weights };
    let vicreg = VicReg::<64, 48, 48, Cpu>::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0));
    for (loss, equal) in [losses(barlow), losses(vicreg)] {
        assert!((loss - equal.unwrap()).abs() < 1e-3, "{loss}, not {equal:?}");
    }
    // Codes that say nothing can also be predicted worse than that.
    let (loss, equal) = losses(swav());
    assert!((equal.unwrap() - 20f64.ln()).abs() < 1e-9 && loss >= equal.unwrap(), "{loss} {equal:?}");
    assert_eq!(losses(simsiam(&SimSiamConfig::new(2))).1, None);
}

#[test]
fn prototypes_keep_their_length_and_rest_at_rate_0() {
    let mut model = swav();
    let before = model.prototypes.weight.as_vec();
    let mut training = Training::new(&model);
    training.rates.prototypes = 0.0;
    training.steps(&mut model, 0..1);
    let rested = model.prototypes.weight.as_vec();
    assert!(before.iter().zip(&rested).all(|(a, b)| (a - b).abs() < 1e-6));
    let velocity =
        training.sgd.export().into_iter().find(|tensor| tensor.name == "prototypes.weight").unwrap();
    assert!(velocity.data.iter().all(|v| *v == 0.0), "they gather no momentum");
    training.rates.prototypes = 0.05;
    training.steps(&mut model, 1..2);
    let trained = model.prototypes.weight.as_vec();
    assert!(rested.iter().zip(&trained).any(|(a, b)| (a - b).abs() > 1e-4));
    assert!(trained.chunks(16).all(|row| (row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5));
}

/// A loss is one of views, wherever they stand; only full-size ones have codes, and a spread to report.
#[test]
fn small_views_predict_and_have_no_codes() {
    let pass = |sizes: &[usize], views: &[usize]| {
        let mut model = swav_of(sizes.to_vec());
        let views = sizes.iter().zip(views).map(|(size, view)| images_at(*size, *view)).collect();
        let grads = model.alloc_grads();
        let step = model.loss(Batch { views, samples: &[], ranks: &Ranks::default() }, grads);
        let measured = step.measured().unwrap();
        (measured.loss, measured.spreads.len(), state::export(&model))
    };
    let (loss, spreads, values) = pass(&[32, 32, 16, 16], &[1, 2, 3, 4]);
    assert_eq!(spreads, 2);
    let mixed = pass(&[16, 32, 16, 32], &[3, 1, 4, 2]);
    assert!((mixed.0, mixed.1) == (loss, 2) && mixed.2 == values, "small views go first in either case");
    let other = pass(&[32, 32, 16, 16], &[1, 2, 3, 5]).0;
    assert!((other - loss).abs() > 1e-6, "the last view counts: {other}, {loss}");
    let of_full = pass(&[32, 32, 32, 32], &[1, 2, 3, 4]);
    assert_eq!(of_full.1, 4);
}

#[test]
#[should_panic(expected = "codes are of two full-size views at least, not of 1")]
fn one_full_size_view_is_too_few_for_codes() {
    swav_of(vec![32, 16, 16]);
}

#[test]
fn the_average_of_targets_takes_in_every_projection() {
    let targets = Targets::Average { momentum: 0.8, images: IMAGES + 1 };
    let config = SimSiamConfig { predictor: false, targets, ..SimSiamConfig::new(2) };
    let mut model = simsiam(&config);
    let mut training = Training::new(&model);
    let rows = |model: &SimSiam<64, 48, 48, 12, Cpu>| state::export(model).pop().unwrap().data;
    let first = rows(&model);
    let lengths = first.chunks(48).map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt());
    assert!(lengths.into_iter().all(|length| (0.7..1.3).contains(&length)), "directions to begin with");
    training.steps(&mut model, 0..1);
    let second = rows(&model);
    let unseen = IMAGES * 48..;
    assert_eq!(first[unseen.clone()], second[unseen], "an image that was not in the batch");
    for (eta, renewed) in first.chunks(48).zip(second.chunks(48)).take(IMAGES) {
        let taken_in: Vec<f32> = eta.iter().zip(renewed).map(|(a, b)| (b - 0.8 * a) / 0.2).collect();
        let length = taken_in.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!((0.1..1.0 + 1e-5).contains(&length), "the mean of two unit vectors: {length}");
    }
}

#[test]
fn an_asymmetric_loss_is_half_of_the_symmetric_one_and_two_pairs_take_four_views() {
    let with = |symmetry| simsiam(&SimSiamConfig { symmetry, ..SimSiamConfig::new(2) });
    let loss = |symmetry, views: &[usize]| {
        let mut model = with(symmetry);
        let grads = Method::alloc_grads(&model);
        let views = views.iter().map(|view| images(*view)).collect();
        model.loss(Batch { views, samples: &[], ranks: &Ranks::default() }, grads).loss.array()
    };
    let forth = loss(Symmetry::Asymmetric, &[1, 2]);
    let back = loss(Symmetry::Asymmetric, &[2, 1]);
    assert!((loss(Symmetry::Symmetric, &[1, 2]) - (forth + back) / 2.0).abs() < 1e-6);
    assert!((loss(Symmetry::AsymmetricTwice, &[1, 2, 2, 1]) - (forth + back) / 2.0).abs() < 1e-6);
    assert_eq!(Method::view_sizes(&with(Symmetry::AsymmetricTwice)), [32; 4]);
}

#[test]
fn heads_without_batch_norm_have_biases() {
    let names = |norm| -> Vec<String> {
        let config = SimSiamConfig::new(2);
        let heads = HeadConfig { norm, ..config.heads };
        state::export(&simsiam(&SimSiamConfig { heads, ..config }))
            .into_iter()
            .map(|tensor| tensor.name)
            .filter(|name| !name.starts_with("encoder"))
            .collect()
    };
    let has = |names: &[String], name: &str| names.iter().any(|found| found == name);
    let none = names(HeadNorm::None);
    assert!(has(&none, "projector.0.bias") && !none.iter().any(|name| name.contains("running")));
    let hidden = names(HeadNorm::Hidden);
    assert!(has(&hidden, "projector.1.running_mean") && has(&hidden, "projector.3.bias"));
    let default = names(HeadNorm::Default);
    assert!(has(&default, "projector.4.running_mean") && !has(&default, "projector.4.weight"));
    assert!(has(&default, "predictor.3.bias") && !has(&default, "predictor.4.weight"));
    assert!(has(&names(HeadNorm::All), "predictor.4.running_mean"));
}

#[test]
fn every_method_learns_and_goes_on_exactly() {
    let dev = Cpu::default();
    learns("SimSiam", &|seed| {
        SimSiam::<64, 48, 48, 12, _>::new(encoder(seed), &dev, &SimSiamConfig::new(2), &InitRng::new(seed))
    });
    learns("cross-entropy", &|seed| {
        let config = SimSiamConfig { similarity: Similarity::CrossEntropy, ..SimSiamConfig::new(2) };
        SimSiam::<64, 48, 48, 12, _>::new(encoder(seed), &dev, &config, &InitRng::new(seed))
    });
    learns("average", &|seed| {
        let targets = Targets::Average { momentum: 0.8, images: IMAGES };
        let config = SimSiamConfig { predictor: false, targets, ..SimSiamConfig::new(2) };
        SimSiam::<64, 48, 48, 12, _>::new(encoder(seed), &dev, &config, &InitRng::new(seed))
    });
    learns("BYOL", &|seed| {
        let config = ByolConfig { heads: HEADS, symmetry: Symmetry::Symmetric, momentum: 0.9 };
        Byol::<64, 48, 16, 48, _>::new(encoder(seed), &dev, &config, &InitRng::new(seed))
    });
    learns("SimCLR", &|seed| {
        SimClr::<64, 48, 16, _>::new(
            encoder(seed),
            &dev,
            &SimClrConfig { heads: HEADS, temperature: 0.5 },
            &InitRng::new(seed),
        )
    });
    learns("MoCo v2", &|seed| {
        let mut model = moco(64);
        if seed != 0 {
            model.queue.push(&model.queue.keys.0.clone());
            model.queue.next.count = 3;
        }
        model
    });
    learns("SwAV", &|_| swav());
    learns("SwAV, multi-crop", &|_| swav_of(vec![32, 32, 16, 16, 16]));
    let normed = HeadConfig { norm: HeadNorm::Default, ..HEADS };
    learns("Barlow Twins", &|seed| {
        let config = BarlowTwinsConfig { heads: normed, lambda: 0.0051, scale: 0.1 };
        BarlowTwins::<64, 48, 48, _>::new(encoder(seed), &dev, &config, &InitRng::new(seed))
    });
    learns("VICReg", &|seed| {
        let weights = VicRegWeights { invariance: 25.0, variance: 25.0, covariance: 1.0 };
        let config = VicRegConfig { heads: HEADS, weights };
        VicReg::<64, 48, 48, _>::new(encoder(seed), &dev, &config, &InitRng::new(seed))
    });
}

/// The loss falls, and a network of another seed that takes over all state goes on with the same losses.
fn learns<M: Method<Cpu>>(name: &str, new: &dyn Fn(u64) -> M) {
    let mut model = new(0);
    let mut training = Training::new(&model);
    // By the third step MoCo's queue is full of keys: before, it compares with random directions, which is easier.
    let first = training.steps(&mut model, 0..7)[3];
    let (values, velocity) = (state::export(&model), training.sgd.export());
    assert!(!velocity.iter().any(|tensor| tensor.name.starts_with("target")));

    let mut other = new(7);
    state::import(&mut other, &values).unwrap();
    let mut others = Training::new(&other);
    others.sgd.import(&other, &velocity).unwrap();
    let rest = training.steps(&mut model, 7..10);
    assert_eq!(others.steps(&mut other, 7..10), rest, "{name} goes on");
    assert!(state::export(&other) == state::export(&model), "{name} ends the same");
    println!("{name}: {first} -> {}", rest[2]);
    assert!(rest[2] < first - 0.01 * first.abs(), "{name}: {first} -> {}", rest[2]);
}

/// Both compute the same losses and the same weights, bit for bit.
fn same_training(a: &mut impl Method<Cpu>, b: &mut impl Method<Cpu>) {
    assert_eq!(Training::new(a).steps(a, 0..4), Training::new(b).steps(b, 0..4));
    let others = state::export(b);
    let common = state::export(a).into_iter().filter(|tensor| !tensor.name.starts_with("target."));
    let mut compared = 0;
    for tensor in common {
        assert!(others.contains(&tensor), "{} differs", tensor.name);
        compared += 1;
    }
    assert!(compared > 40, "{compared} tensors");
}

struct Training {
    sgd: Sgd<Cpu>,
    rates: LearningRates,
    grads: Option<Gradients<f32, Cpu>>,
}

impl Training {
    fn new(model: &impl Method<Cpu>) -> Self {
        Self { sgd: Sgd::new(SGD), rates: LearningRates::all(0.05), grads: Some(model.alloc_grads()) }
    }

    /// Trains on the same views and returns the losses; ten steps are a whole run.
    fn steps<M: Method<Cpu>>(&mut self, model: &mut M, steps: std::ops::Range<u64>) -> Vec<f32> {
        let (samples, ranks): (Vec<usize>, _) = ((0..IMAGES).collect(), Ranks::default());
        let step = |step: u64| {
            let views = model.view_sizes().into_iter().zip(1..).map(|(size, view)| images_at(size, view));
            let batch = Batch { views: views.collect(), samples: &samples, ranks: &ranks };
            let loss = model.loss(batch, self.grads.take().unwrap()).loss;
            let value = loss.array();
            let mut gradients = loss.backward();
            self.sgd.update(model, &mut gradients, &self.rates).unwrap();
            model.zero_grads(&mut gradients);
            model.end_step(step + 1, (step + 1) as f64 / 10.0);
            self.grads = Some(gradients);
            value
        };
        steps.map(step).collect()
    }
}

trait ProjectionWeights {
    fn f_weights(&self) -> Vec<f32>;
}

impl<M: NamedTensors<Cpu>> ProjectionWeights for M {
    fn f_weights(&self) -> Vec<f32> {
        state::export(self).into_iter().find(|tensor| tensor.name == "projector.0.weight").unwrap().data
    }
}

fn simsiam(config: &SimSiamConfig) -> SimSiam<64, 48, 48, 12, Cpu> {
    SimSiam::new(encoder(0), &Cpu::default(), config, &InitRng::new(0))
}

fn moco(queue: usize) -> MoCoV2<64, 48, 16, Cpu> {
    let heads = HeadConfig { norm: HeadNorm::None, ..HEADS };
    let config =
        MoCoV2Config { heads, symmetry: Symmetry::Symmetric, temperature: 0.2, queue, momentum: 0.9 };
    MoCoV2::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0))
}

fn swav() -> SwAv<64, 48, 16, 20, Cpu> {
    swav_of(vec![32; 2])
}

fn swav_of(view_sizes: Vec<usize>) -> SwAv<64, 48, 16, 20, Cpu> {
    let config = SwAvConfig { heads: HEADS, view_sizes, temperature: 0.1, epsilon: 0.05, iterations: 3 };
    SwAv::new(encoder(0), &Cpu::default(), &config, &InitRng::new(0))
}

fn images(view: usize) -> View<Cpu> {
    images_at(32, view)
}

fn images_at(size: usize, view: usize) -> View<Cpu> {
    let len = 3 * size * size;
    let pixel = |i: usize| ((i % len) as f32 * 0.01 * (i / len + 1) as f32 + view as f32).sin();
    View::copied(&Cpu::default(), size, &(0..IMAGES * len).map(pixel).collect::<Vec<_>>())
}

fn encoder(seed: u64) -> Backbone<64, Cpu> {
    Backbone::new::<ResNet8<Cpu>>(32, &Cpu::default(), &InitRng::new(seed).child("encoder"))
}
