//! Orders in windows of shards.

use std::collections::BTreeSet;

use super::*;

/// Shards of so many samples each, a few of them none of it.
fn shards(count: usize, mean: u64, key: u64) -> Population {
    let sizes = (0..count as u64).map(|shard| hash(key, shard) % (2 * mean) + u64::from(shard == 0));
    let mut first_samples = vec![0];
    for size in sizes {
        first_samples.push(first_samples[first_samples.len() - 1] + size);
    }
    Population::of_shards(first_samples)
}

/// About two thirds of the samples.
fn some_of(population: &Population, key: u64) -> SampleSet {
    let of = population.samples();
    let numbers: Vec<u64> =
        (0..of).filter(|&sample| sample == 0 || !hash(key, sample).is_multiple_of(3)).collect();
    SampleSet::new(&numbers, of)
}

fn windows(population: &Population, part: Part, shards: usize) -> Sampler {
    let order = Order::Windows { shards };
    Sampler::new(population, part, 1, 5, order, LastBatch::Kept, World::SINGLE).unwrap()
}

/// Populations of every size, whole and in part, chosen and not, with windows of 1 shard, some and all.
fn cases() -> impl Iterator<Item = (Population, Part, usize)> {
    (0..400).map(|case| {
        let draw = |what, n: u64| hash(case, what) % n;
        let count = [1, 2, 3, 7, 8, 9, 31, 32, 33][draw(0, 9) as usize];
        let population = shards(count, 1 + draw(1, 20), case);
        let chosen = (case % 2 == 0).then(|| some_of(&population, case));
        let population = population.choose(chosen);
        let held_out = draw(2, population.len());
        let part = match case / 2 % 3 {
            0 => Part::All,
            1 => Part::Kept { held_out },
            _ => Part::HeldOut { held_out: held_out + 1 },
        };
        (population, part, 1 + draw(3, count as u64 + 1) as usize)
    })
}

fn sorted(mut samples: Vec<u64>) -> Vec<u64> {
    samples.sort_unstable();
    samples
}

#[test]
fn an_epoch_is_each_sample_in_use_once() {
    for (population, part, shards) in cases() {
        let positions = 0..part.len(population.len());
        let whole = Sampler::new(&population, part, 1, 0, Order::Sequential, LastBatch::Kept, World::SINGLE);
        let expected =
            sorted(positions.clone().map(|p| whole.as_ref().unwrap().epoch(0).sample(p)).collect());
        for epoch in 0..3 {
            let order = windows(&population, part, shards).epoch(epoch);
            let seen = sorted(positions.clone().map(|p| order.sample(p)).collect());
            assert_eq!(seen, expected, "{population:?}, {part:?}, windows of {shards}");
        }
    }
}

#[test]
fn a_shard_is_in_one_window_and_a_window_has_few_shards() {
    for (population, part, most) in cases() {
        let order = windows(&population, part, most).epoch(1);
        let shard_of = |sample| population.first_samples.partition_point(|&first| first <= sample) - 1;
        let uses = order.shards_ahead(0);
        let mut seen = BTreeSet::new();
        for position in 0..part.len(population.len()) {
            let near: BTreeSet<usize> =
                uses.iter().filter(|u| u.positions.contains(&position)).map(|u| u.shard).collect();
            let shard = shard_of(order.sample(position));
            assert!(near.contains(&shard), "shard {shard} is not announced at {position}");
            seen.insert(shard);
            for attempt in 0..3 {
                assert!(near.contains(&shard_of(order.substitute(position, attempt))));
            }
            let all_at_once = near.len() == uses.len();
            assert!(near.len() <= most || all_at_once && part != Part::All, "{near:?}");
            assert_eq!(
                order.shards_ahead(position),
                uses.iter().filter(|u| u.positions.end > position).cloned().collect::<Vec<_>>()
            );
        }
        // Each shard is announced once; where a window holds all, one that the part leaves empty may be, too.
        let announced: BTreeSet<usize> = uses.iter().map(|u| u.shard).collect();
        assert_eq!(announced.len(), uses.len());
        assert!(announced.is_superset(&seen));
    }
}

#[test]
fn windows_are_of_like_numbers_of_shards_and_follow_each_other() {
    let population = Population::of_shards((0..=65).map(|shard| 10 * shard).collect::<Vec<_>>());
    let uses = windows(&population, Part::All, 16).epoch(0).shards_ahead(0);
    let spans: BTreeSet<(u64, u64)> = uses.iter().map(|u| (u.positions.start, u.positions.end)).collect();
    assert_eq!(Vec::from_iter(spans), [(0, 130), (130, 260), (260, 390), (390, 520), (520, 650)]);
    assert!(!uses.is_sorted_by_key(|u| u.shard), "shards come in a random order");
}

#[test]
fn what_is_needed_when_is_known_of_every_order() {
    let population = Population::of_shards([0, 4, 4, 9]);
    let uses = |part, order| {
        let order = Sampler::new(&population, part, 1, 0, order, LastBatch::Kept, World::SINGLE).unwrap();
        order.epoch(0).shards_ahead(4)
    };
    let used = |shard, positions| ShardUse { shard, positions };
    assert_eq!(uses(Part::All, Order::Sequential), [used(2, 4..9)]);
    assert_eq!(uses(Part::All, Order::Shuffled), [used(0, 0..9), used(2, 0..9)]);
    let kept = Part::Kept { held_out: 2 };
    assert_eq!(uses(kept, Order::Sequential), [used(0, 0..7), used(2, 0..7)]);
}

#[test]
fn samples_of_a_window_and_windows_of_epochs_are_spread() {
    let population = Population::of_shards((0..=64).map(|shard| 100 * shard).collect::<Vec<_>>());
    let sampler = windows(&population, Part::All, 16);
    let order = sampler.epoch(0);
    for window in 0..4 {
        let first_of_each: BTreeSet<u64> =
            (1600 * window..1600 * window + 200).map(|position| order.sample(position) / 100).collect();
        assert_eq!(first_of_each.len(), 16, "200 samples of 16 shards come from all of them");
    }
    let other = sampler.epoch(1);
    let alike = (0..6400).filter(|&position| order.sample(position) == other.sample(position)).count();
    assert!(alike < 10, "{alike} positions are alike in two epochs");
}

#[test]
fn a_choice_of_other_data_and_an_empty_window_are_refused() {
    let refused = |population: &Population, order| {
        let sampler = Sampler::new(population, Part::All, 1, 0, order, LastBatch::Kept, World::SINGLE);
        sampler.unwrap_err().to_string()
    };
    let chosen = Population::all(10).choose(Some(SampleSet::new(&[1], 11)));
    assert_eq!(refused(&chosen, Order::Shuffled), "the samples were chosen from 11, but the data has 10");
    let text = refused(&Population::all(10), Order::Windows { shards: 0 });
    assert_eq!(text, "a window of 0 shards has no sample to shuffle; it takes at least 1");
    let none = Population::all(10).choose(Some(SampleSet::new(&[], 10)));
    assert!(refused(&none, Order::Shuffled).contains("holds none"));
}
