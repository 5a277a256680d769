//! Uses the crate `simsiam-pipeline` with plain dfdx, without the trainer: views become a tensor, and a small network
//! learns the labels.
//!
//! `cargo run --release --example dfdx_loader -- SHARD...`

use std::env;
use std::error::Error;

use dfdx::optim::{Momentum, Sgd, SgdConfig};
use dfdx::prelude::*;
use simsiam_pipeline::{Loader, Recipe};

const CLASSES: usize = 10;
const PIXELS: usize = 3 * 32 * 32;
type Network = ((Linear<PIXELS, 128>, ReLU), Linear<128, CLASSES>);

fn main() -> Result<(), Box<dyn Error>> {
    let recipe = Recipe::cifar10().crop_and_flip();
    let mut loader = Loader::training(env::args().skip(1), recipe, 64).views(1).build()?;
    let device = Cpu::default();
    let mut network = device.build_module::<Network, f32>();
    let mut gradients = network.alloc_grads();
    let momentum = Some(Momentum::Classic(0.9));
    let mut optimizer = Sgd::new(&network, SgdConfig { lr: 0.01, momentum, weight_decay: None });

    for epoch in 0..2 {
        let mut losses = Vec::new();
        for batch in loader.epoch(epoch)? {
            let batch = batch?;
            let images = device.tensor_from_vec(batch.view(0).to_vec(), (batch.len(), Const::<PIXELS>));
            let mut targets = vec![0.0; batch.len() * CLASSES];
            for (row, label) in targets.chunks_exact_mut(CLASSES).zip(batch.labels()) {
                row[label.ok_or("a sample without a label")? as usize % CLASSES] = 1.0;
            }
            let targets = device.tensor_from_vec(targets, (batch.len(), Const::<CLASSES>));

            let logits = network.forward_mut(images.traced(gradients));
            let loss = cross_entropy_with_logits_loss(logits, targets);
            losses.push(loss.array());
            gradients = loss.backward();
            optimizer.update(&mut network, &gradients).map_err(|error| format!("{error:?}"))?;
            network.zero_grads(&mut gradients);
        }
        println!("epoch {epoch}: loss {:.3}", losses.iter().sum::<f32>() / losses.len() as f32);
    }
    Ok(())
}
