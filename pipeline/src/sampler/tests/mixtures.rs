//! Sets drawn in proportion.

use std::collections::BTreeMap;

use super::*;

/// Sets of three shards each, of so many samples together.
fn mixed(sizes: &[u64], weights: &[f64]) -> Population {
    let mut first_samples = vec![0];
    for size in sizes {
        let first = first_samples[first_samples.len() - 1];
        first_samples.extend([first + size / 3, first + size / 2, first + size]);
    }
    let set_of_shard = (0..3 * sizes.len()).map(|shard| shard / 3).collect();
    Population::of_shards(first_samples).mix(Some(mixture(weights, set_of_shard).unwrap()))
}

fn mixture(weights: &[f64], set_of_shard: Vec<usize>) -> Result<Mixture, MixtureError> {
    let set = |(number, &weight)| MixtureSet { name: format!("set-{number}/"), weight };
    Mixture::new(weights.iter().enumerate().map(set).collect(), set_of_shard)
}

fn set_of(sizes: &[u64], sample: u64) -> usize {
    let mut end = 0;
    sizes
        .iter()
        .position(|size| {
            end += size;
            sample < end
        })
        .unwrap()
}

fn sampler(population: &Population, part: Part, batch: usize, order: Order, world: World) -> Sampler {
    Sampler::new(population, part, batch, 11, order, LastBatch::Dropped, world).unwrap()
}

const ORDERS: [Order; 3] = [Order::Shuffled, Order::Windows { shards: 1 }, Order::Windows { shards: 2 }];

#[test]
fn every_prefix_and_every_batch_has_the_proportions() {
    let pi = std::f64::consts::PI;
    let weights: [&[f64]; 7] = [
        &[0.7, 0.3],
        &[1.0, 1.0],
        &[1e-4, 1.0],
        &[pi, 1.0, 0.1],
        &[0.1, 0.2, 0.3, 0.4],
        &[5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        &[3.0],
    ];
    for (weights, order) in weights.into_iter().flat_map(|weights| ORDERS.map(|order| (weights, order))) {
        let sizes: Vec<u64> = (0..weights.len() as u64).map(|set| 101 + 97 * set).collect();
        let population = mixed(&sizes, weights);
        let sampler = sampler(&population, Part::All, 16, order, World::SINGLE);
        let total: f64 = weights.iter().sum();
        for epoch in [0, 1, 5] {
            let order = sampler.epoch(epoch);
            let mut drawn = vec![vec![0.0; weights.len()]];
            for position in 0..population.len() {
                let mut after = drawn[position as usize].clone();
                after[set_of(&sizes, order.sample(position))] += 1.0;
                drawn.push(after);
                assert_eq!(
                    set_of(&sizes, order.substitute(position, 3)),
                    set_of(&sizes, order.sample(position))
                );
            }
            for (set, weight) in weights.iter().enumerate() {
                let share = weight / total;
                for (position, drawn) in drawn.iter().enumerate() {
                    let off = drawn[set] - share * position as f64;
                    assert!(off.abs() < 1.0, "{weights:?}, set {set} at {position} is off by {off}");
                }
                for ends in drawn.windows(17) {
                    let off = ends[16][set] - ends[0][set] - share * 16.0;
                    assert!(off.abs() < 2.0, "{weights:?}, a batch is off by {off}");
                }
            }
        }
    }
}

#[test]
fn a_set_is_drawn_equally_often_over_a_whole_run() {
    for (case, order) in (0..40).flat_map(|case| ORDERS.map(|order| (case, order))) {
        let draw = |what, n: u64| hash(case, what) % n;
        let sizes: Vec<u64> = (0..1 + draw(0, 4)).map(|set| 6 + draw(1 + set, 60)).collect();
        let weights: Vec<f64> = (0..sizes.len() as u64).map(|set| 1.0 + draw(9 + set, 50) as f64).collect();
        let population = mixed(&sizes, &weights);
        let samples = population.len();
        let held_out = draw(7, 6);
        let part = if case % 2 == 0 { Part::All } else { Part::Kept { held_out } };
        let batch = 1 + draw(8, 6) as usize;
        let sampler = sampler(&population, part, batch, order, World::SINGLE);
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for epoch in 0..1 + draw(20, 9) {
            let order = sampler.epoch(epoch);
            for position in (0..sampler.steps_per_epoch()).flat_map(|step| sampler.positions(step)) {
                *times.entry(order.sample(position)).or_default() += 1;
            }
        }
        let members = {
            let all = Sampler::new(
                &Population::all(samples),
                part,
                1,
                0,
                Order::Sequential,
                LastBatch::Kept,
                World::SINGLE,
            );
            let order = all.unwrap().epoch(0);
            (0..part.len(samples)).map(move |position| order.sample(position))
        };
        let mut by_set: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for sample in members {
            let times = times.remove(&sample).unwrap_or(0);
            by_set.entry(set_of(&sizes, sample)).or_default().push(times);
        }
        assert!(times.is_empty(), "only samples in use are drawn");
        for (set, times) in by_set {
            let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            assert!(most - least <= 1, "case {case}, {order:?}, set {set}: {least} to {most} times");
        }
    }
}

#[test]
fn ranks_split_the_mixed_batch_and_passes_differ() {
    let population = mixed(&[50, 20], &[1.0, 4.0]);
    for order in ORDERS {
        let whole = sampler(&population, Part::All, 12, order, World::SINGLE);
        let drawn = |sampler: &Sampler, step| -> Vec<u64> {
            let order = sampler.epoch(2);
            sampler.positions(step).map(|position| order.sample(position)).collect()
        };
        for size in [2, 3, 4, 6, 12] {
            let ranks =
                (0..size).map(|rank| sampler(&population, Part::All, 12, order, World { size, rank }));
            let ranks: Vec<Sampler> = ranks.collect();
            for step in 0..whole.steps_per_epoch() {
                let joined: Vec<u64> = ranks.iter().flat_map(|rank| drawn(rank, step)).collect();
                assert_eq!(joined, drawn(&whole, step));
            }
        }
        // 56 of an epoch's draws are from the 20 samples of the second set: pass after pass in another order.
        let epoch = whole.epoch(0);
        let second: Vec<u64> = (0..70).map(|p| epoch.sample(p)).filter(|&sample| sample >= 50).collect();
        assert_eq!(second.len(), 56);
        assert_ne!(second[..20], second[20..40]);
        assert_ne!(epoch.sample(0), whole.epoch(1).sample(0));
    }
}

#[test]
fn shards_of_a_mixture_are_announced_for_each_pass() {
    for (weights, part) in [([1.0, 4.0], Part::All), ([3.0, 1.0], Part::Kept { held_out: 9 })] {
        let population = mixed(&[50, 20], &weights);
        let shard_of = |sample| population.first_samples.partition_point(|&first| first <= sample) - 1;
        for order in ORDERS {
            let sampler = sampler(&population, part, 4, order, World::SINGLE);
            for epoch in 0..4 {
                let order = sampler.epoch(epoch);
                let uses = order.shards_ahead(0);
                assert!(uses.is_sorted_by_key(|u| u.positions.start));
                for position in 0..part.len(population.len()) {
                    let near = |sample| {
                        let shard = shard_of(sample);
                        uses.iter().any(|u| u.shard == shard && u.positions.contains(&position))
                    };
                    assert!(near(order.sample(position)) && near(order.substitute(position, 0)));
                }
                for used in &uses {
                    // At its ends are draws of its window, so that nothing is kept for longer than it must be.
                    assert!(used.positions.end <= part.len(population.len()));
                    let set = used.shard / 3;
                    for position in [used.positions.start, used.positions.end - 1] {
                        assert_eq!(shard_of(order.sample(position)) / 3, set);
                    }
                }
            }
        }
    }
}

#[test]
fn an_evaluation_sees_each_sample_of_a_mixture_once() {
    let population = mixed(&[9, 20], &[1.0, 4.0]);
    let order = sampler(&population, Part::All, 1, Order::Sequential, World::SINGLE).epoch(0);
    assert!((0..29).map(|position| order.sample(position)).eq(0..29));
}

#[test]
fn impossible_mixtures_are_refused() {
    let refused = |weights: &[f64]| mixture(weights, vec![0]).unwrap_err().to_string();
    for (weight, text) in [(0.0, "0"), (-1.5, "-1.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let expected = format!("the weight of set-1/ is {text}, but weights are numbers greater than 0;");
        assert!(refused(&[1.0, weight]).starts_with(&expected), "{}", refused(&[1.0, weight]));
    }
    assert!(refused(&[0.0, 0.0]).starts_with("the weight of set-0/ is 0,"));
    assert_eq!(refused(&[]), "a mixture needs at least one set");
    let small = "the weight 0.00001 of set-1/ is less than 1/32768 of all weights together";
    assert_eq!(refused(&[1.0, 1e-5]), small);
    let no_such = mixture(&[1.0], vec![0, 1]).unwrap_err().to_string();
    assert_eq!(no_such, "shard 1 is in set 1 of 1, which are numbered from 0");

    let new = |mixture: Mixture| {
        let population = Population::of_shards([0, 5, 9]).mix(Some(mixture));
        let order = Order::Shuffled;
        let sampler = Sampler::new(&population, Part::All, 1, 0, order, LastBatch::Kept, World::SINGLE);
        sampler.unwrap_err().to_string()
    };
    let others = new(mixture(&[1.0], vec![0]).unwrap());
    assert_eq!(others, "2 shards cannot be mixed by the sets of 1");
    let empty = new(mixture(&[1.0, 2.0], vec![0, 0]).unwrap());
    assert_eq!(empty, "set-1/ has no sample to draw, so its weight cannot be kept");
}

#[test]
fn small_sums_of_weights_are_exact() {
    for (weights, shares) in [
        (vec![0.7, 0.3], vec![7, 3]),
        (vec![2.0, 1.0], vec![2, 1]),
        (vec![0.1, 0.2, 0.3], vec![1, 2, 3]),
        (vec![5.0; 3], vec![1, 1, 1]),
        (vec![1.0], vec![1]),
        (vec![0.125, 0.875], vec![1, 7]),
    ] {
        let mixture = mixture(&weights, vec![]).unwrap();
        let cycle = mixture.cycle();
        let total = shares.iter().sum::<u64>();
        let found: Vec<u64> = (0..shares.len()).map(|set| cycle.turns_before(set, total)).collect();
        assert_eq!(found, shares);
        assert_eq!(cycle.turns_before(0, 1000 * total), 1000 * shares[0]);
    }
    let pi = std::f64::consts::PI;
    let awkward = mixture(&[pi, 1.0], vec![]).unwrap();
    let off = awkward.cycle().turns_before(0, 1_000_000_000) as f64 - 1e9 * pi / (1.0 + pi);
    assert!(off.abs() < 100.0, "two awkward weights are off by {off} in a billion samples");
}
