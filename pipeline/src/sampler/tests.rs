use super::permutation::hash;
use super::*;

mod mixtures;
mod windows;

fn sampler(samples: u64, batch: usize, world: World) -> Sampler {
    Sampler::new(&Population::all(samples), Part::All, batch, 7, Order::Shuffled, LastBatch::Dropped, world)
        .unwrap()
}

#[test]
fn every_epoch_is_a_permutation() {
    for n in (1..70).chain([255, 256, 257, 1000, 4097]) {
        for epoch in 0..3 {
            let order = sampler(n, 1, World::SINGLE).epoch(epoch);
            let mut seen: Vec<u64> = (0..n).map(|position| order.sample(position)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>(), "n {n}, epoch {epoch}");
        }
    }
}

#[test]
fn epochs_and_seeds_differ_and_positions_are_spread() {
    let n = 10_000;
    let a = sampler(n, 1, World::SINGLE).epoch(0);
    let b = sampler(n, 1, World::SINGLE).epoch(1);
    let same = (0..n).filter(|&p| a.sample(p) == b.sample(p)).count();
    assert!(same < 10, "{same} of {n} positions are alike in two epochs");
    // Neighbours end up a third of the range apart on average, as in a random permutation.
    let gap: f64 = (1..n).map(|p| a.sample(p).abs_diff(a.sample(p - 1)) as f64).sum::<f64>() / n as f64;
    assert!((gap / n as f64 - 1.0 / 3.0).abs() < 0.01, "mean gap {gap}");
}

#[test]
fn a_billion_samples_need_no_table() {
    let order = sampler(1_000_000_000, 256, World::SINGLE).epoch(3);
    let first: Vec<u64> = (0..1000).map(|p| order.sample(p)).collect();
    assert!(first.iter().all(|&s| s < 1_000_000_000));
    let mut distinct = first.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), first.len());
}

#[test]
fn ranks_split_the_global_batch() {
    for size in [1, 2, 3, 4, 6, 12] {
        for step in 0..4 {
            let whole: Vec<u64> = sampler(50, 12, World::SINGLE).positions(step).collect();
            let split: Vec<u64> =
                (0..size).flat_map(|rank| sampler(50, 12, World { size, rank }).positions(step)).collect();
            assert_eq!(whole, split);
        }
    }
}

#[test]
fn every_split_of_every_batch_is_the_batch() {
    for case in 0..200 {
        let draw = |what: u64, range: Range<u64>| range.start + hash(case, what) % (range.end - range.start);
        let (batch, seed) = (draw(0, 1..49), draw(1, 0..u64::MAX));
        let samples = draw(2, batch..batch * 9 + 100);
        let held_out = draw(3, 0..samples - batch + 1);
        let part = [Part::All, Part::Kept { held_out }][(case % 2) as usize];
        let order = [Order::Shuffled, Order::Sequential][(case / 2 % 2) as usize];
        let last_batch = [LastBatch::Dropped, LastBatch::Kept][(case / 4 % 2) as usize];
        let new = |size, rank| {
            let world = World { size, rank };
            Sampler::new(&Population::all(samples), part, batch as usize, seed, order, last_batch, world)
                .unwrap()
        };
        let drawn = |sampler: &Sampler, epoch, step| -> Vec<(u64, u64)> {
            let order = sampler.epoch(epoch);
            sampler.positions(step).map(|at| (order.sample(at), order.substitute(at, 0))).collect()
        };
        let whole = new(1, 0);
        for size in (2..=batch).filter(|&size| batch.is_multiple_of(size)) {
            let ranks: Vec<_> = (0..size).map(|rank| new(size, rank)).collect();
            for (epoch, step) in
                (0..3).flat_map(|epoch| (0..whole.steps_per_epoch()).map(move |s| (epoch, s)))
            {
                let joined: Vec<_> = ranks.iter().flat_map(|rank| drawn(rank, epoch, step)).collect();
                assert_eq!(joined, drawn(&whole, epoch, step), "case {case}, {size} ranks");
            }
        }
    }
}

#[test]
fn remainders_are_dropped_or_kept_and_split() {
    assert_eq!(sampler(50, 12, World::SINGLE).steps_per_epoch(), 4);
    let kept = |world| {
        Sampler::new(&Population::all(50), Part::All, 12, 0, Order::Sequential, LastBatch::Kept, world)
            .unwrap()
    };
    let all = kept(World::SINGLE);
    assert_eq!(all.steps_per_epoch(), 5);
    assert_eq!(all.positions(4), 48..50);
    assert_eq!(all.epoch(9).sample(13), 13);
    let shares: Vec<_> = (0..3).map(|rank| kept(World { size: 3, rank }).positions(4)).collect();
    assert_eq!(shares, [48..48, 48..49, 49..50]);
}

#[test]
fn an_epoch_ends_with_a_whole_group_and_its_batches_stay_the_same() {
    let alone = sampler(50, 6, World::SINGLE);
    assert_eq!(alone.steps_per_epoch(), 8);
    for (group, steps) in [(0, 8), (1, 8), (2, 8), (3, 6), (5, 5), (8, 8)] {
        let grouped = alone.clone().in_groups_of(group).unwrap();
        assert_eq!(grouped.steps_per_epoch(), steps, "groups of {group}");
        assert!((0..steps).all(|step| grouped.positions(step) == alone.positions(step)));
    }
    let error = alone.in_groups_of(9).unwrap_err().to_string();
    assert_eq!(error, "an epoch has 8 batches, fewer than a group of 9");
}

#[test]
fn what_is_held_out_is_never_trained_on() {
    let members = |part, order| {
        let sampler =
            Sampler::new(&Population::all(100), part, 5, 3, order, LastBatch::Kept, World::SINGLE).unwrap();
        let epoch = sampler.epoch(1);
        let mut members: Vec<u64> = (0..part.len(100)).map(|p| epoch.sample(p)).collect();
        members.extend((0..50).map(|p| epoch.substitute(p, 0)));
        members.sort_unstable();
        members.dedup();
        members
    };
    let kept = members(Part::Kept { held_out: 20 }, Order::Shuffled);
    let held_out = members(Part::HeldOut { held_out: 20 }, Order::Sequential);
    assert_eq!((kept.len(), held_out.len()), (80, 20));
    let mut all = [kept, held_out].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn impossible_batches_are_refused() {
    let new = |samples, batch, world| {
        Sampler::new(
            &Population::all(samples),
            Part::All,
            batch,
            0,
            Order::Shuffled,
            LastBatch::Dropped,
            world,
        )
    };
    assert!(matches!(new(10, 0, World::SINGLE), Err(ConfigError::EmptyBatch)));
    assert!(matches!(new(10, 11, World::SINGLE), Err(ConfigError::BatchLargerThanData { .. })));
    let world = |size, rank| new(10, 4, World { size, rank }).unwrap_err().to_string();
    assert_eq!(world(3, 0), "3 ranks cannot take equal shares of a batch of 4");
    assert_eq!(world(2, 2), "rank 2 is not one of the 2 ranks, which are numbered from 0");
    assert_eq!(world(0, 0), "the number of ranks is 0");
}

#[test]
fn a_part_without_samples_is_refused() {
    for part in [Part::HeldOut { held_out: 0 }, Part::Kept { held_out: 10 }, Part::Kept { held_out: 11 }] {
        for last_batch in [LastBatch::Kept, LastBatch::Dropped] {
            let sampler =
                Sampler::new(&Population::all(10), part, 4, 0, Order::Sequential, last_batch, World::SINGLE);
            assert_eq!(
                sampler.unwrap_err().to_string(),
                "the part of the data to stream holds none of its 10 samples"
            );
        }
    }
}

#[test]
fn every_rank_that_trains_has_an_image_in_every_epoch() {
    let new = |samples, order, size, rank| {
        Sampler::new(&Population::all(samples), Part::All, 8, 0, order, LastBatch::Kept, World { size, rank })
    };
    for samples in 1..20 {
        for size in [1, 2, 4, 8] {
            for rank in 0..size {
                let evaluates = new(samples, Order::Sequential, size, rank).unwrap();
                match new(samples, Order::Shuffled, size, rank) {
                    Ok(sampler) => assert!(!sampler.positions(0).is_empty()),
                    Err(ConfigError::MoreRanksThanSamples { .. }) => assert!(samples < size),
                    Err(error) => panic!("{error}"),
                }
                // A rank with none of the first batch has none at all.
                assert!(!evaluates.positions(0).is_empty() || evaluates.steps_per_epoch() == 1);
            }
        }
    }
}

/// What the first release drew: a run that goes on with a newer one gets the same samples.
#[test]
fn orders_are_those_of_earlier_releases() {
    let kept = Part::Kept { held_out: 100 };
    let held_out = Part::HeldOut { held_out: 100 };
    let (shuffled, sequential) = (Order::Shuffled, Order::Sequential);
    type Golden = (u64, Part, Order, u64, u64, [u64; 8], [u64; 3]);
    let golden: [Golden; 8] = [
        (10, Part::All, shuffled, 7, 0, [5, 8, 4, 2, 7, 3, 1, 6], [1, 2, 6]),
        (10, Part::All, shuffled, 7, 1, [9, 1, 6, 0, 5, 4, 2, 8], [0, 0, 0]),
        (1000, Part::All, shuffled, 7, 3, [536, 449, 675, 908, 613, 892, 782, 667], [699, 60, 331]),
        (1000, kept, shuffled, 7, 3, [787, 821, 47, 921, 51, 888, 571, 428], [792, 753, 779]),
        (1000, held_out, shuffled, 7, 3, [507, 886, 798, 643, 77, 331, 572, 946], [767, 776, 323]),
        (1000, held_out, sequential, 7, 0, [799, 426, 122, 531, 878, 507, 117, 594], [490, 690, 919]),
        (1000, kept, sequential, 7, 0, [8, 528, 302, 808, 244, 940, 453, 92], [249, 273, 194]),
        (
            1_000_000_000,
            Part::All,
            shuffled,
            42,
            0,
            [832085887, 562840770, 915431369, 904747859, 900967705, 570050576, 874192808, 32527095],
            [54754134, 67257100, 589094170],
        ),
    ];
    for (samples, part, order, seed, epoch, drawn, substitutes) in golden {
        let population = Population::all(samples);
        // A choice of everything changes nothing, nor does a window that holds every shard.
        let everything =
            (samples < 10_000).then(|| SampleSet::new(&(0..samples).collect::<Vec<_>>(), samples));
        let window = if order == sequential { order } else { Order::Windows { shards: 3 } };
        let thirds = Population::of_shards([0, samples / 3, samples / 2, samples]);
        for (population, order) in
            [(&population, order), (&population.clone().choose(everything), order), (&thirds, window)]
        {
            let epoch = Sampler::new(population, part, 1, seed, order, LastBatch::Dropped, World::SINGLE)
                .unwrap()
                .epoch(epoch);
            assert_eq!([0, 1, 2, 3, 4, 5, 8, 9].map(|position| epoch.sample(position)), drawn);
            let attempts = [(0, 0), (0, 1), (9, 0)];
            assert_eq!(attempts.map(|(position, attempt)| epoch.substitute(position, attempt)), substitutes);
        }
    }
}
