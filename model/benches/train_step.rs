//! One SimSiam step of the presets' heads and optimisers: both views forward, backward, and the update.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::encoders::{Encoder, ResNet8, ResNet18Cifar, ResNet50};
use simsiam_model::methods::{Batch, Method, SimSiam, SimSiamConfig};
use simsiam_model::{LearningRates, Sgd, SgdConfig, images_from};

criterion_group!(benches, train_step);
criterion_main!(benches);

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    group.throughput(Throughput::Elements(128));
    group.bench_function("resnet8 batch 128", |b| {
        let mut step = step::<ResNet8<Cpu>, 32, 64>(128, 2);
        b.iter(&mut step);
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("resnet18-cifar batch 64", |b| {
        let mut step = step::<ResNet18Cifar<Cpu>, 32, 512>(64, 2);
        b.iter(&mut step);
    });
    group.throughput(Throughput::Elements(8));
    group.bench_function("resnet50 at 224 batch 8", |b| {
        let mut step = step::<ResNet50<Cpu>, 224, 2048>(8, 3);
        b.iter(&mut step);
    });
    group.finish();
}

fn step<E: Encoder<Cpu, SIZE, FEATURES>, const SIZE: usize, const FEATURES: usize>(
    batch: usize,
    projector_layers: usize,
) -> impl FnMut() -> f32 {
    let dev = Cpu::default();
    let mut model =
        SimSiam::<E, FEATURES, 2048, 2048, 512, Cpu>::new(&dev, &SimSiamConfig::new(projector_layers), 0);
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
    let mut grads = Some(Method::<_, SIZE>::alloc_grads(&model));
    let values = batch * 3 * SIZE * SIZE;
    let view = |frequency: f32| -> Vec<f32> { (0..values).map(|i| (i as f32 * frequency).sin()).collect() };
    let (first, second) = (view(0.11), view(0.13));
    move || {
        let views = vec![images_from::<_, 3, SIZE>(&dev, &first), images_from(&dev, &second)];
        let loss = model.loss(Batch { views, samples: &[] }, grads.take().expect("put back")).loss;
        let value = loss.array();
        let mut gradients = loss.backward();
        sgd.update(&mut model, &mut gradients, &LearningRates::all(0.03)).expect("no device to fail");
        Method::<_, SIZE>::zero_grads(&model, &mut gradients);
        grads = Some(gradients);
        value
    }
}
