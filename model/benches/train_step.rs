//! One SimSiam step of the presets' heads and optimisers: both views forward, backward, and the update.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::arch::Arch;
use simsiam_model::backend::{FeedKernel, Pixels};
use simsiam_model::init::InitRng;
use simsiam_model::methods::{MethodName, Settings};
use simsiam_model::network::Networks;
use simsiam_model::{LearningRates, Sgd, SgdConfig};

criterion_group!(benches, train_step);
criterion_main!(benches);

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train_step");
    group.sample_size(10);
    for (arch, size, batch, projector_layers) in [
        (Arch::Resnet8, 32, 128, 2),
        (Arch::Resnet18CifarW16, 32, 128, 2),
        (Arch::Resnet18CifarW32, 32, 64, 2),
        (Arch::Resnet18Cifar, 32, 64, 2),
        (Arch::Resnet50, 224, 8, 3),
    ] {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("{arch} at {size} batch {batch}"), |b| {
            let mut step = step(arch, size, batch, projector_layers);
            b.iter(&mut step);
        });
    }
    group.finish();
}

fn step(arch: Arch, size: usize, batch: usize, projector_layers: usize) -> impl FnMut() -> f32 {
    let settings = Settings::new(projector_layers, 2048);
    let mut model = Cpu::default().network(arch, size, MethodName::SimSiam, &settings, &InitRng::new(0));
    let mut sgd = Sgd::new(SgdConfig { momentum: 0.9, weight_decay: 5e-4 });
    let mut grads = Some(model.alloc_grads());
    let samples: Vec<usize> = (0..batch).collect();
    let values = batch * 3 * size * size;
    let view = |frequency: f32| -> Vec<f32> { (0..values).map(|i| (i as f32 * frequency).sin()).collect() };
    let (first, second) = (view(0.11), view(0.13));
    move || {
        let views = Cpu::send(&Pixels::Values(vec![&first, &second])).expect("memory");
        let loss = model.loss(views, &samples, grads.take().expect("put back")).loss;
        let value = loss.array();
        let mut gradients = loss.backward();
        sgd.update(&mut model, &mut gradients, &LearningRates::all(0.03)).expect("no device to fail");
        model.zero_grads(&mut gradients);
        grads = Some(gradients);
        value
    }
}
