//! Convolution 3x3, 64 -> 64 channels, on 64 x 64 x 32 x 32, forward and backward.

use criterion::{Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::{Images, Module, images_from, init::InitRng, layers::Conv2d};

criterion_group!(benches, conv2d);
criterion_main!(benches);

fn conv2d(c: &mut Criterion) {
    let dev = Cpu::default();
    let conv = Conv2d::<64, 64, 3, 1, 1, Cpu>::new(&dev, &InitRng::new(0));
    let values: Vec<f32> = (0..64 * 64 * 1024).map(|i| (i as f32 * 0.11).sin()).collect();
    let x: Images<Cpu, 64, 32> = images_from(&dev, &values);

    let mut group = c.benchmark_group("conv2d");
    group.sample_size(10);
    group.bench_function("3x3 64->64 on 64x64x32x32, forward and backward", |b| {
        b.iter(|| {
            let y: Images<Cpu, 64, 32, _> = conv.forward(x.leaky_trace());
            y.sum::<Rank0, _>().backward()
        });
    });
    group.finish();
}
