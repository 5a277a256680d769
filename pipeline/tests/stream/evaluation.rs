//! One plain view of every sample, once, in order.

use simsiam_pipeline::{Part, PipelineConfig, Recipe, World};

use crate::fixture::{Fixture, digests};

#[test]
fn every_sample_comes_once_in_order() {
    let fixture = Fixture::new(30, &[]);
    let config = PipelineConfig { workers: 2, ..PipelineConfig::evaluation(&Recipe::cifar10(), 8) };
    let mut seen = Vec::new();
    for batch in fixture.start(&config) {
        let batch = batch.unwrap();
        assert_eq!((batch.views(), batch.size(0)), (1, 32));
        assert_eq!(batch.view::<f32>(0).len(), batch.len() * 3 * 32 * 32);
        for (sample, label) in batch.samples().zip(batch.labels()) {
            assert_eq!(label, Some(sample as u32 % 10));
            seen.push(sample);
        }
    }
    assert_eq!(seen, (0..30).collect::<Vec<_>>());
    assert_eq!(digests(fixture.start(&config)), digests(fixture.start(&config)), "nothing is random");
}

#[test]
fn bad_samples_are_left_out() {
    let fixture = Fixture::new(30, &[9]);
    let batches = fixture.start(&PipelineConfig::evaluation(&Recipe::cifar10(), 8));
    let seen: Vec<u64> = batches.flat_map(|batch| batch.unwrap().samples().collect::<Vec<_>>()).collect();
    assert_eq!(seen, (0..30).filter(|&sample| sample != 9).collect::<Vec<_>>());
}

#[test]
fn the_held_out_part_is_streamed_alone() {
    let fixture = Fixture::new(30, &[]);
    let samples = |part| -> Vec<u64> {
        let config = PipelineConfig { part, ..PipelineConfig::evaluation(&Recipe::cifar10(), 8) };
        fixture.start(&config).flat_map(|batch| batch.unwrap().samples().collect::<Vec<_>>()).collect()
    };
    let mut all = [samples(Part::Kept { held_out: 3 }), samples(Part::HeldOut { held_out: 3 })].concat();
    assert_eq!(all.len(), 30);
    all.sort_unstable();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
}

#[test]
fn a_rank_without_a_sample_has_an_evaluation_of_none() {
    let fixture = Fixture::new(5, &[]);
    for epochs in [0..1, 0..u64::MAX] {
        let config = PipelineConfig::evaluation(&Recipe::cifar10(), 8);
        let config = PipelineConfig { epochs, world: World { size: 8, rank: 0 }, ..config };
        assert!(fixture.start(&config).next().is_none());
    }
}
