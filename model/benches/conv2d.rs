//! Convolutions, the output and both gradients: 3x3 of 64 channels on 64 x 64 x 32 x 32, and those of ResNet-8 at a batch of 128.

use criterion::{Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::backend::{Conv2dGeometry, Conv2dGradients, Conv2dKernel};

criterion_group!(benches, conv2d);
criterion_main!(benches);

fn conv2d(c: &mut Criterion) {
    let mut group = c.benchmark_group("conv2d");
    group.sample_size(10);
    for (name, images, channels, in_size, kernel, stride) in [
        ("3x3 64-64", 64, (64, 64), 32, 3, 1),
        ("3x3 16-16", 128, (16, 16), 32, 3, 1),
        ("3x3 32-32", 128, (32, 32), 16, 3, 1),
        ("3x3 by 2 16-32", 128, (16, 32), 32, 3, 2),
        ("3x3 by 2 32-64", 128, (32, 64), 16, 3, 2),
        ("1x1 by 2 16-32", 128, (16, 32), 32, 1, 2),
    ] {
        let geometry = Conv2dGeometry {
            in_channels: channels.0,
            out_channels: channels.1,
            in_size,
            out_size: in_size / stride,
            kernel,
            stride,
            pad: kernel / 2,
        };
        let case = Case::new(images, geometry);
        group.bench_function(name, |b| b.iter(|| case.run()));
    }
    group.finish();
}

/// A convolution and what it works on.
struct Case {
    dev: Cpu,
    geometry: Conv2dGeometry,
    images: usize,
    x: Tensor<Dimensions, f32, Cpu>,
    weight: Tensor<Dimensions, f32, Cpu>,
    grad_y: Vector,
}

type Dimensions = (usize, usize, usize, usize);
type Vector = <Cpu as Storage<f32>>::Vec;

impl Case {
    fn new(images: usize, geometry: Conv2dGeometry) -> Self {
        let dev = Cpu::default();
        let Conv2dGeometry { in_channels, out_channels, in_size, kernel, .. } = geometry;
        let tensor = |shape: Dimensions| dev.tensor_from_vec(waves(shape.num_elements()), shape);
        let x = tensor((images, in_channels, in_size, in_size));
        let weight = tensor((out_channels, in_channels, kernel, kernel));
        let mut grad_y = dev.try_alloc_len(images * geometry.out_len()).expect("memory");
        grad_y.copy_from_slice(&waves(images * geometry.out_len()));
        Self { dev, geometry, images, x, weight, grad_y }
    }

    fn run(&self) -> (Tensor<Dimensions, f32, Cpu>, [Vector; 2]) {
        let Self { dev, geometry, images, x, weight, grad_y } = self;
        let output = (*images, geometry.out_channels, geometry.out_size, geometry.out_size);
        let y = dev.conv2d(geometry, x, weight, output).expect("memory");
        let [mut grad_x, mut grad_w] = [images * geometry.in_len(), geometry.weight_len()]
            .map(|n| dev.try_alloc_len(n).expect("memory"));
        let gradients = Conv2dGradients { input: Some(&mut grad_x), weight: &mut grad_w, parts: 1 };
        dev.conv2d_backward(geometry, x, weight, grad_y, gradients).expect("memory");
        (y, [grad_x, grad_w])
    }
}

fn waves(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.11).sin()).collect()
}
