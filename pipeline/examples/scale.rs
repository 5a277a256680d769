//! The cost of the order of a billion samples for 256 ranks: the real sampler on simulated shards, with a virtual clock.
//!
//! `cargo run -p simsiam-pipeline --example scale` prints the tables of benches/results/scale.md.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use simsiam_pipeline::sampler::{EpochOrder, LastBatch, Order, Part, Population, Sampler, ShardUse, World};

const SHARDS: u64 = 10_000;
const SAMPLES_OF_SHARD: u64 = 100_000;
const SAMPLES: u64 = SHARDS * SAMPLES_OF_SHARD;
/// Bytes of a sample: a photograph of ImageNet.
const SAMPLE_BYTES: f64 = 110e3;
const RANKS: u64 = 256;
const RANKS_OF_HOST: u64 = 8;
const BATCH: usize = 4096;
/// Images that a rank trains on in a second: two views of each by ResNet-50 on a current GPU, assumed.
const IMAGES_A_SECOND: f64 = 1_000.0;
const WINDOW: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    println!("{SAMPLES} samples in {SHARDS} shards, {RANKS} ranks, global batch {BATCH}.\n");
    println!(
        "| order | open | start an epoch | resume in mid-epoch | draw a sample |\n|---|---|---|---|---|"
    );
    for order in [Order::Shuffled, Order::Windows { shards: WINDOW }] {
        println!("| {} | {} |", name(order), costs(order)?.map(shown).join(" | "));
    }

    println!(
        "\n| order | images per rank and step | repeated within 1,000 steps | shards that a host reads per window |"
    );
    println!("|---|---|---|---|");
    for order in [Order::Shuffled, Order::Windows { shards: WINDOW }] {
        let Balance { least, most, repeated, shards } = balance(order)?;
        println!("| {} | {least} to {most} | {repeated} | {shards} of {WINDOW} |", name(order));
    }

    let uses = sampler(Order::Windows { shards: WINDOW }, World::SINGLE)?.epoch(0).shards_ahead(0);
    let seconds = SAMPLES as f64 / (RANKS as f64 * IMAGES_A_SECOND);
    println!(
        "\nAn epoch takes {:.1} hours of computation. A host of {RANKS_OF_HOST} ranks reads every shard once.\n",
        seconds / 3600.0
    );
    println!(
        "| network per host | read ahead | share of the epoch spent waiting | shards held, at most |\n|---|---|---|---|"
    );
    for gigabits in [25.0, 100.0, 200.0, 400.0] {
        for ahead in [WINDOW / 2, 2 * WINDOW] {
            let Traffic { waited, held } = traffic(&uses, gigabits * 1e9 / 8.0, ahead);
            let share = waited / (seconds + waited);
            println!("| {gigabits} Gbit/s | {ahead} shards | {:.1} % | {held} |", 100.0 * share);
        }
    }
    Ok(())
}

fn sampler(order: Order, world: World) -> Result<Sampler, Box<dyn Error>> {
    let first_samples: Vec<u64> = (0..=SHARDS).map(|shard| shard * SAMPLES_OF_SHARD).collect();
    let population = Population::of_shards(first_samples);
    Ok(Sampler::new(&population, Part::All, BATCH, 0, order, LastBatch::Dropped, world)?)
}

fn name(order: Order) -> String {
    match order {
        Order::Windows { shards } => format!("window={shards}"),
        _ => "whole".to_owned(),
    }
}

fn shown(seconds: f64) -> String {
    match seconds {
        0.0..1e-6 => format!("{:.0} ns", seconds * 1e9),
        1e-6..1e-3 => format!("{:.1} µs", seconds * 1e6),
        _ => format!("{:.2} ms", seconds * 1e3),
    }
}

/// Seconds to open, to begin an epoch, to resume in its middle, and for a sample: the medians of five.
fn costs(order: Order) -> Result<[f64; 4], Box<dyn Error>> {
    let mut runs = Vec::new();
    for epoch in 0..5 {
        let start = Instant::now();
        let sampler = sampler(order, World { size: RANKS, rank: 17 })?;
        let opened = start.elapsed();
        let start = Instant::now();
        black_box(sampler.epoch(epoch).sample(0));
        let began = start.elapsed();
        let start = Instant::now();
        let (order, middle) = (sampler.epoch(epoch), sampler.positions(sampler.steps_per_epoch() / 2));
        middle.for_each(|position| _ = black_box(order.sample(position)));
        let resumed = start.elapsed();
        let start = Instant::now();
        let positions = 1_000_000;
        (0..positions).for_each(|i| _ = black_box(order.sample(i * (SAMPLES / positions))));
        let each = start.elapsed().as_secs_f64() / positions as f64;
        runs.push([opened.as_secs_f64(), began.as_secs_f64(), resumed.as_secs_f64(), each]);
    }
    Ok(std::array::from_fn(|cost| {
        let mut of_runs: Vec<f64> = runs.iter().map(|run| run[cost]).collect();
        of_runs.sort_by(f64::total_cmp);
        of_runs[of_runs.len() / 2]
    }))
}

struct Balance {
    /// Images of a rank in a step.
    least: usize,
    most: usize,
    /// Samples that came twice.
    repeated: usize,
    /// Shards that one host's ranks draw from while the epoch goes through as many samples as a window has.
    shards: usize,
}

fn balance(order: Order) -> Result<Balance, Box<dyn Error>> {
    let samplers: Vec<Sampler> =
        (0..RANKS).map(|rank| sampler(order, World { size: RANKS, rank })).collect::<Result<_, _>>()?;
    let epoch = samplers[0].epoch(0);
    let mut seen = BTreeSet::new();
    let (mut least, mut most, mut delivered) = (usize::MAX, 0, 0);
    for step in 0..1_000 {
        for sampler in &samplers {
            let positions = sampler.positions(step);
            let images = (positions.end - positions.start) as usize;
            (least, most, delivered) = (least.min(images), most.max(images), delivered + images);
            seen.extend(positions.map(|position| epoch.sample(position)));
        }
    }
    let shards = shards_of_host(&samplers[..RANKS_OF_HOST as usize], &epoch);
    Ok(Balance { least, most, repeated: delivered - seen.len(), shards })
}

/// Shards that these ranks draw from in a window's worth of samples, at most as many as a window has.
fn shards_of_host(ranks: &[Sampler], epoch: &EpochOrder) -> usize {
    let steps = WINDOW as u64 * SAMPLES_OF_SHARD / BATCH as u64;
    let mut shards = BTreeSet::new();
    for step in 0..steps {
        for sampler in ranks {
            shards.extend(sampler.positions(step).map(|position| epoch.sample(position) / SAMPLES_OF_SHARD));
        }
        if shards.len() >= WINDOW {
            break;
        }
    }
    shards.len().min(WINDOW)
}

struct Traffic {
    /// Seconds in which a host's ranks had nothing to train on.
    waited: f64,
    /// Most shards that its cache held at once.
    held: usize,
}

/// A host that fetches the shards of an epoch one after the other, at most `ahead` of them before they are needed, and drops each
/// when it is no longer needed.
fn traffic(uses: &[ShardUse], bytes_a_second: f64, ahead: usize) -> Traffic {
    let fetch = SAMPLES_OF_SHARD as f64 * SAMPLE_BYTES / bytes_a_second;
    let rate = RANKS as f64 * IMAGES_A_SECOND;
    // When training comes to a position: the position's time without waiting, and what was waited for before it.
    let (mut waited, mut fetched_at) = (0.0, 0.0);
    let (mut held, mut until) = (0, BTreeMap::new());
    for (i, shard) in uses.iter().enumerate() {
        let needed = shard.positions.start as f64 / rate;
        // It may be fetched once training has come to the shard that is so far before it.
        let allowed =
            i.checked_sub(ahead).map_or(0.0, |before| uses[before].positions.start as f64 / rate + waited);
        fetched_at = f64::max(fetched_at, allowed) + fetch;
        waited += (fetched_at - needed - waited).max(0.0);
        // What is still needed when this one is there.
        let position = ((fetched_at - waited) * rate).max(0.0) as u64;
        *until.entry(shard.positions.end).or_insert(0_usize) += 1;
        until = until.split_off(&position);
        held = held.max(until.values().sum());
    }
    Traffic { waited, held }
}
