//! One SimSiam step of the preset `cifar10`: both views forward, backward, and the update.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::encoders::{Encoder, ResNet8, ResNet18Cifar};
use simsiam_model::methods::{Batch, Method, SimSiam, SimSiamConfig};
use simsiam_model::{LearningRates, Sgd, SgdConfig, images_from};

criterion_group!(benches, train_step);
criterion_main!(benches);

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    group.throughput(Throughput::Elements(128));
    group.bench_function("resnet8 batch 128", |b| {
        let mut step = step::<ResNet8<Cpu>, 64>(128);
        b.iter(&mut step);
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("resnet18-cifar batch 64", |b| {
        let mut step = step::<ResNet18Cifar<Cpu>, 512>(64);
        b.iter(&mut step);
    });
    group.finish();
}

fn step<E: Encoder<Cpu, 32, FEATURES>, const FEATURES: usize>(batch: usize) -> impl FnMut() -> f32 {
    let dev = Cpu::default();
    let mut model = SimSiam::<E, FEATURES, 2048, 2048, 512, Cpu>::new(&dev, &SimSiamConfig::new(2), 0);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
    let mut grads = Some(Method::<_, 32>::alloc_grads(&model));
    let view =
        |frequency: f32| -> Vec<f32> { (0..batch * 3072).map(|i| (i as f32 * frequency).sin()).collect() };
    let (first, second) = (view(0.11), view(0.13));
    move || {
        let views = vec![images_from::<_, 3, 32>(&dev, &first), images_from(&dev, &second)];
        let loss = model.loss(Batch { views, samples: &[] }, grads.take().expect("put back")).loss;
        let value = loss.array();
        let mut gradients = loss.backward();
        sgd.update(&mut model, &mut gradients, &LearningRates::all(0.03)).expect("no device to fail");
        Method::<_, 32>::zero_grads(&model, &mut gradients);
        grads = Some(gradients);
        value
    }
}
