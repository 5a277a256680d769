//! Batch norm with ReLU on 64 x 64 x 32 x 32, forward and backward.

use criterion::{Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::layers::{Activation, BatchNorm2d};
use simsiam_model::{Images, Module, images_from, init::InitRng};

criterion_group!(benches, batch_norm);
criterion_main!(benches);

fn batch_norm(c: &mut Criterion) {
    let dev = Cpu::default();
    let mut norm = BatchNorm2d::<64, Cpu>::new(&dev, &InitRng::new(0));
    let values: Vec<f32> = (0..64 * 64 * 1024).map(|i| (i as f32 * 0.11).sin()).collect();
    let x: Images<Cpu, 64, 32> = images_from(&dev, &values);

    let mut group = c.benchmark_group("batch norm");
    group.sample_size(10);
    group.bench_function("with ReLU on 64x64x32x32, forward and backward", |b| {
        b.iter(|| {
            let y: Images<Cpu, 64, 32, _> = norm.forward_mut(x.leaky_trace(), Activation::Relu);
            y.sum::<Rank0, _>().backward()
        });
    });
    group.finish();
}
