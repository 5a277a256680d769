//! The randomness of batches drawn in windows of shards: prints the table of `docs/data.md`.
//!
//! `cargo run --release -p simsiam-pipeline --example window_randomness`
//!
//! 64,000 samples of 10 classes in 64 shards, batches of 256, five epochs. The shards hold the classes in sequence, as
//! `ImageFolder` lists them, or mixed. A batch's distance is the total variation distance between its class distribution and that
//! of the data: 0 if they are equal, 0.9 if the batch has only one class.

use simsiam_pipeline::sampler::{LastBatch, Order, Part, Population, Sampler, World};

const SHARDS: u64 = 64;
const SAMPLES_A_SHARD: u64 = 1000;
const CLASSES: usize = 10;
const BATCH: usize = 256;
const EPOCHS: u64 = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let samples = SHARDS * SAMPLES_A_SHARD;
    let shards: Vec<u64> = (0..=SHARDS).map(|shard| shard * SAMPLES_A_SHARD).collect();
    // Any fixed order will do: that of an epoch of another seed.
    let mixed = sampler(&Population::all(samples), Order::Shuffled, 1)?.epoch(0);
    let sorted = |sample: u64| (sample * CLASSES as u64 / samples) as usize;

    println!("| order | shards a batch | distance, classes mixed | distance, sorted by class |");
    println!("|---|---|---|---|");
    let windows =
        [1, 4, 16].map(|shards| (format!("window of {shards} of {SHARDS}"), Order::Windows { shards }));
    for (name, order) in windows.into_iter().chain([("whole".to_owned(), Order::Shuffled)]) {
        let sampler = sampler(&Population::of_shards(shards.clone()), order, 0)?;
        let mut batches = 0;
        let (mut near, mut distance_mixed, mut distance_sorted) = (0, 0.0, 0.0);
        for epoch in 0..EPOCHS {
            let order = sampler.epoch(epoch);
            for step in 0..sampler.steps_per_epoch() {
                let batch: Vec<u64> =
                    sampler.positions(step).map(|position| order.sample(position)).collect();
                let mut shards: Vec<u64> = batch.iter().map(|sample| sample / SAMPLES_A_SHARD).collect();
                shards.sort_unstable();
                shards.dedup();
                near += shards.len();
                distance_mixed += distance(batch.iter().map(|&sample| sorted(mixed.sample(sample))));
                distance_sorted += distance(batch.iter().map(|&sample| sorted(sample)));
                batches += 1;
            }
        }
        let mean = |sum: f64| sum / f64::from(batches);
        let (near, mixed, sorted) = (mean(near as f64), mean(distance_mixed), mean(distance_sorted));
        println!("| {name} | {near:.1} | {mixed:.3} | {sorted:.3} |");
    }
    Ok(())
}

fn sampler(
    population: &Population,
    order: Order,
    seed: u64,
) -> Result<Sampler, simsiam_pipeline::ConfigError> {
    Sampler::new(population, Part::All, BATCH, seed, order, LastBatch::Dropped, World::SINGLE)
}

/// Between the classes of a batch and as many of each.
fn distance(classes: impl Iterator<Item = usize>) -> f64 {
    let mut counts = [0.0; CLASSES];
    classes.for_each(|class| counts[class] += 1.0);
    let (of, fair) = (BATCH as f64, 1.0 / CLASSES as f64);
    counts.iter().map(|count| (count / of - fair).abs()).sum::<f64>() / 2.0
}
