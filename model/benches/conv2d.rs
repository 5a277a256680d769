//! Convolution 3x3, 64 -> 64 channels, on 64 x 64 x 32 x 32: the output and both gradients.

use criterion::{Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};
use simsiam_model::{Images, Module, images_from, init::InitRng, layers::Conv2d};

criterion_group!(benches, conv2d);
criterion_main!(benches);

fn conv2d(c: &mut Criterion) {
    let dev = Cpu::default();
    let conv = Conv2d::<64, 64, 3, 1, 1, Cpu>::new(&dev, &InitRng::new(0));
    let geometry = Conv2dGeometry {
        in_channels: 64,
        out_channels: 64,
        in_size: 32,
        out_size: 32,
        kernel: 3,
        stride: 1,
        pad: 1,
    };
    let values: Vec<f32> = (0..64 * 64 * 1024).map(|i| (i as f32 * 0.11).sin()).collect();
    let x: Images<Cpu, 64, 32> = images_from(&dev, &values);
    let grad_y = vector(&dev, values);

    let mut group = c.benchmark_group("conv2d");
    group.sample_size(10);
    group.bench_function("3x3 64-64", |b| {
        b.iter(|| {
            let y = dev.conv2d(&geometry, &x, &conv.weight, *x.shape()).expect("memory");
            let [mut grad_x, mut grad_w] = [64 * geometry.in_len(), geometry.weight_len()]
                .map(|n| dev.try_alloc_len(n).expect("memory"));
            let gradients = Conv2dGradients { input: Some(&mut grad_x), weight: &mut grad_w };
            dev.conv2d_backward(&geometry, &x, &conv.weight, &grad_y, gradients).expect("memory");
            (y, grad_x, grad_w)
        });
    });
    group.finish();
}

fn vector(dev: &Cpu, values: Vec<f32>) -> <Cpu as Storage<f32>>::Vec {
    let mut vector = dev.try_alloc_len(values.len()).expect("memory");
    vector.copy_from_slice(&values);
    vector
}
