//! Streams of some of the samples, and in windows of shards.

use simsiam_pipeline::loader::{LoaderBuilder, StateError};
use simsiam_pipeline::sampler::MixtureSet;
use simsiam_pipeline::{Loader, LoaderState, Mixture, Order, PipelineConfig, Recipe, World};

use crate::fixture::{Fixture, training};

fn loader(fixture: &Fixture) -> LoaderBuilder {
    Loader::training([fixture.pattern()], Recipe::cifar10(), 4).seed(42).workers(2)
}

/// The samples of each batch of an epoch.
fn samples(loader: &mut Loader, epoch: u64) -> Vec<Vec<u64>> {
    loader.epoch(epoch).unwrap().map(|batch| batch.unwrap().samples().collect()).collect()
}

fn sorted(batches: &[Vec<u64>]) -> Vec<u64> {
    let mut samples = batches.concat();
    samples.sort_unstable();
    samples
}

#[test]
fn windows_stream_shard_after_shard_and_a_bad_samples_stand_in_is_of_its_shard() {
    // Three shards of 20 samples, one of them broken.
    let fixture = Fixture::new(60, &[25]);
    let mut loader = loader(&fixture).order(Order::Windows { shards: 1 }).build().unwrap();
    for epoch in 0..3 {
        let batches = samples(&mut loader, epoch);
        assert_eq!(batches.len(), 15);
        for batch in &batches {
            assert!(batch.iter().all(|sample| sample / 20 == batch[0] / 20), "{batch:?}");
        }
        let seen = sorted(&batches);
        assert!((0..60).all(|sample| seen.contains(&sample) == (sample != 25)));
    }
}

#[test]
fn choices_and_windows_are_the_same_for_any_workers_ranks_and_resume() {
    let fixture = Fixture::new(60, &[7]);
    let build = |workers, world| {
        let builder = loader(&fixture).workers(workers).world(world).order(Order::Windows { shards: 2 });
        builder.select("label in [1, 3, 5, 7]").fraction(0.7).build().unwrap()
    };
    let whole = samples(&mut build(1, World::SINGLE), 0);
    let labels: Vec<u64> = sorted(&whole).iter().map(|sample| sample % 10).collect();
    assert_eq!((whole.len(), labels.iter().all(|label| [1, 3, 5, 7].contains(label))), (5, true));
    for workers in [2, 5] {
        assert_eq!(samples(&mut build(workers, World::SINGLE), 0), whole);
    }
    let ranks: Vec<_> = (0..2).map(|rank| samples(&mut build(2, World { size: 2, rank }), 0)).collect();
    for (step, batch) in whole.iter().enumerate() {
        assert_eq!([&ranks[0][step][..], &ranks[1][step]].concat(), *batch);
    }
    for taken in 0..5 {
        let mut first = build(2, World::SINGLE);
        first.epoch(0).unwrap().take(taken).for_each(|batch| assert!(batch.is_ok()));
        let mut second = build(3, World::SINGLE);
        let json = serde_json::to_string(&first.state()).unwrap();
        second.restore(serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(samples(&mut second, 0), whole[taken..]);
    }
}

#[test]
fn every_batch_of_a_mixture_has_its_proportions_with_bad_samples_too() {
    // The first shard's 20 samples are three quarters of what is drawn; one is broken.
    let fixture = Fixture::new(60, &[3]);
    let set = |name: &str, weight| MixtureSet { name: name.to_owned(), weight };
    let mixture = Mixture::new(vec![set("train-000.tar", 3.0), set("the others", 1.0)], vec![0, 1, 1]);
    let mixture = Some(mixture.unwrap());
    for order in [Order::Shuffled, Order::Windows { shards: 1 }] {
        let config = PipelineConfig { mixture: mixture.clone(), order, workers: 3, ..training() };
        let batches: Vec<Vec<u64>> =
            fixture.start(&config).map(|batch| batch.unwrap().samples().collect()).collect();
        assert_eq!(batches.len(), 14);
        for batch in &batches {
            assert_eq!(batch.iter().filter(|&&sample| sample < 20).count(), 6, "{batch:?}");
        }
        // 84 draws from 19 samples: each has come four times at least.
        let drawn = sorted(&batches);
        let times = |sample| drawn.iter().filter(|&&drawn| drawn == sample).count();
        assert!((0..20).all(|sample| if sample == 3 { times(3) == 0 } else { times(sample) >= 4 }));
    }
}

#[test]
fn a_smaller_choice_is_a_part_of_a_larger_one() {
    let fixture = Fixture::new(60, &[]);
    let chosen = |builder: LoaderBuilder| sorted(&samples(&mut builder.build().unwrap(), 0));
    let all = || loader(&fixture);
    let (fifth, half) = (chosen(all().fraction(0.2)), chosen(all().fraction(0.5)));
    let (twelve, forty) = (chosen(all().limit(12)), chosen(all().limit(40)));
    assert_eq!([&fifth, &half, &twelve, &forty].map(Vec::len), [20, 28, 12, 40]);
    assert!(twelve.iter().all(|sample| forty.contains(sample)));
    assert!((0..10).all(|label| fifth.iter().filter(|&sample| sample % 10 == label).count() == 2));
}

#[test]
fn a_state_of_other_samples_is_refused_and_the_same_in_other_words_is_not() {
    let fixture = Fixture::new(60, &[]);
    let all = loader(&fixture).build().unwrap().state();
    let build = |select: &str| loader(&fixture).select(select).build().unwrap();
    let odd: LoaderState = build("label in [1, 3, 5]").state();
    let refused = |mut loader: Loader, state: &LoaderState| loader.restore(state.clone()).unwrap_err();
    assert_eq!(refused(build("label in [1, 3, 7]"), &odd), StateError::Population);
    assert_eq!(refused(build("label in [1, 3]"), &all), StateError::Population);
    assert_eq!(refused(loader(&fixture).build().unwrap(), &odd), StateError::Population);
    build("label = 5 or label = 3 or label = 1").restore(odd).unwrap();
    let windows = loader(&fixture).order(Order::Windows { shards: 1 }).build().unwrap();
    assert_eq!(refused(windows, &all), StateError::Order);
    // States of earlier releases have no such field, and are of all samples.
    let mut earlier = serde_json::to_value(&all).unwrap();
    earlier.as_object_mut().unwrap().remove("population").expect("it is written");
    loader(&fixture).build().unwrap().restore(serde_json::from_value(earlier).unwrap()).unwrap();
}

#[test]
fn choices_of_nothing_are_errors_of_the_builder() {
    let fixture = Fixture::new(60, &[]);
    let refused = |builder: LoaderBuilder| builder.build().err().expect("it is refused").to_string();
    let unknown = refused(loader(&fixture).select("label = cat"));
    assert!(
        unknown.starts_with("select: no sample is of the class \"cat\"; there are 0, 1, 2,"),
        "{unknown}"
    );
    let few = refused(loader(&fixture).limit(3));
    assert_eq!(few, "the batch size 4 is larger than the data (3 samples)");
}
