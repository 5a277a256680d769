//! Batch norm with ReLU on 64 x 64 x 32 x 32: the output and all gradients.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use simsiam_model::backend::{
    Activation, BatchNormGradients, BatchNormKernel, BatchNormSaved, Normalization,
};
use simsiam_model::collective::Ranks;
use simsiam_model::layers::BatchNorm2d;
use simsiam_model::{Images, Module, images_from, init::InitRng};

criterion_group!(benches, batch_norm);
criterion_main!(benches);

fn batch_norm(c: &mut Criterion) {
    let (dev, ranks) = (Cpu::default(), Ranks::default());
    let mut norm = BatchNorm2d::<64, Cpu>::new(&dev, &InitRng::new(0));
    let values: Vec<f32> = (0..64 * 64 * 1024).map(|i| (i as f32 * 0.11).sin()).collect();
    let x: Images<Cpu, 64, 32> = images_from(&dev, &values);
    let (scale, shift) = (dev.ones_like(&(64,)), dev.zeros_like(&(64,)));
    let mut grad_y = dev.try_alloc_len(values.len()).expect("memory");
    grad_y.copy_from_slice(&values);

    let mut group = c.benchmark_group("batch norm");
    group.sample_size(10);
    group.bench_function("with ReLU", |b| {
        // The gradient of the input takes the place of the output's.
        b.iter_batched_ref(
            || grad_y.clone(),
            |grad| {
                let (affine, activation) = (Some((&scale, &shift)), Activation::Relu);
                let x = x.tensor();
                let op = Normalization { x, affine, residual: None, activation };
                let running = &mut norm.running;
                let (y, statistics) =
                    dev.batch_norm_train(&op, &mut running.mean, &mut running.var, &ranks).expect("memory");
                let saved = BatchNormSaved { x, y: None, activation, statistics: &statistics, affine };
                let [mut grad_scale, mut grad_shift] = [64; 2].map(|n| dev.try_alloc_len(n).expect("memory"));
                let gradients = BatchNormGradients {
                    input: None,
                    residual: None,
                    affine: Some((&mut grad_scale, &mut grad_shift)),
                };
                dev.batch_norm_backward(&saved, grad, gradients, &ranks).expect("memory");
                (y, grad_scale, grad_shift)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}
