//! Iterates over epochs for a given time, and prints the images per second.
//!
//! `cargo run --release -p simsiam-pipeline --example plain_loop -- imagenet|cifar10 BATCH WORKERS SECONDS SHARD...`

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use simsiam_pipeline::{Loader, Recipe};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [recipe, batch_size, workers, seconds, shards @ ..] = &arguments[..] else {
        return Err("usage: plain_loop imagenet|cifar10 BATCH WORKERS SECONDS SHARD...".into());
    };
    let recipe = if recipe == "imagenet" { Recipe::imagenet() } else { Recipe::cifar10() };
    let seconds = Duration::from_secs_f64(seconds.parse()?);

    let mut loader =
        Loader::training(shards, recipe, batch_size.parse()?).workers(workers.parse()?).build()?;
    let started = Instant::now();
    let (mut counted, mut images) = (None, 0);
    for epoch in 0.. {
        for batch in loader.epoch(epoch)? {
            let batch = batch?;
            let (_first, _second): (&[f32], &[f32]) = (batch.view(0), batch.view(1)); // the model's input
            let Some(since) = counted else {
                // The first third of the time fills caches and queues.
                counted = (started.elapsed() >= seconds / 3).then(Instant::now);
                continue;
            };
            images += batch.len();
            if since.elapsed() >= seconds {
                let rate = images as f64 / since.elapsed().as_secs_f64();
                println!("{{\"images_per_s\": {rate:.1}}}");
                return Ok(());
            }
        }
    }
    Ok(())
}
