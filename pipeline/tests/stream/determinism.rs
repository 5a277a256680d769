//! Same seed, same bytes: any workers, any ranks, any resume.

use simsiam_pipeline::{PipelineConfig, Recipe, World};

use crate::fixture::{Fixture, digests, training};

#[test]
fn workers_and_queues_change_nothing() {
    let fixture = Fixture::new(61, &[5]);
    let one = digests(fixture.start(&training()));
    assert_eq!(one.len(), 14, "61 samples make 7 batches of 8 an epoch");
    for (workers, prefetch) in [(2, 4), (3, 1), (7, 2)] {
        let config = PipelineConfig { workers, prefetch, ..training() };
        assert_eq!(digests(fixture.start(&config)), one, "{workers} workers");
    }
}

/// SwAV's eight views, in two sizes.
fn multi_crop() -> PipelineConfig {
    PipelineConfig { epochs: 0..2, ..PipelineConfig::training(Recipe::cifar10().swav(16), 8, 42) }
}

#[test]
fn views_of_two_sizes_keep_the_contract() {
    let fixture = Fixture::new(40, &[5]);
    let whole = digests(fixture.start(&multi_crop()));
    assert_eq!(digests(fixture.start(&PipelineConfig { workers: 3, prefetch: 1, ..multi_crop() })), whole);
    let mut batches = fixture.start(&multi_crop());
    batches.by_ref().take(6).for_each(|batch| assert!(batch.is_ok()));
    let (epoch, first_step) = batches.position();
    let rest = PipelineConfig { epochs: epoch..2, first_step, ..multi_crop() };
    assert_eq!(digests(fixture.start(&rest)), whole[6..]);

    let pixels = |world: World, view: usize| -> Vec<Vec<f32>> {
        let batches = fixture.start(&PipelineConfig { world, ..multi_crop() });
        batches.map(|batch| batch.unwrap().view::<f32>(view).to_vec()).collect()
    };
    for (view, size) in [(1, 32), (7, 16)] {
        let whole = pixels(World::SINGLE, view);
        let ranks = [0, 1].map(|rank| pixels(World { size: 2, rank }, view));
        for (step, batch) in whole.iter().enumerate() {
            assert_eq!(batch.len(), 8 * 3 * size * size);
            assert_eq!(
                [&ranks[0][step][..], &ranks[1][step][..]].concat(),
                *batch,
                "view {view}, step {step}"
            );
        }
    }
}

#[test]
fn seeds_and_epochs_change_everything() {
    let fixture = Fixture::new(40, &[]);
    let one = digests(fixture.start(&training()));
    let other = digests(fixture.start(&PipelineConfig { seed: 43, ..training() }));
    assert!(one.iter().all(|a| other.iter().all(|b| a.2 != b.2)));
    let (first, second) = one.split_at(5);
    assert!(first.iter().all(|a| second.iter().all(|b| a.2 != b.2)));
}

#[test]
fn a_pipeline_goes_on_where_another_stopped() {
    let fixture = Fixture::new(40, &[]);
    let whole = digests(fixture.start(&training()));
    for taken in 0..whole.len() {
        let mut batches = fixture.start(&training());
        for _ in 0..taken {
            batches.next().unwrap().unwrap();
        }
        let (epoch, first_step) = batches.position();
        drop(batches);
        let rest = PipelineConfig { epochs: epoch..2, first_step, ..training() };
        assert_eq!(digests(fixture.start(&rest)), whole[taken..]);
    }
}

#[test]
fn ranks_share_the_global_batch() {
    let fixture = Fixture::new(40, &[3]);
    let pixels = |world: World| -> Vec<Vec<u32>> {
        let batches = fixture.start(&PipelineConfig { world, ..training() });
        batches
            .map(|batch| batch.unwrap().view::<f32>(1).iter().map(|value| value.to_bits()).collect())
            .collect()
    };
    let whole = pixels(World::SINGLE);
    for size in [2, 4, 8] {
        let ranks: Vec<_> = (0..size).map(|rank| pixels(World { size, rank })).collect();
        for (step, batch) in whole.iter().enumerate() {
            let joined: Vec<u32> = ranks.iter().flat_map(|rank| rank[step].clone()).collect();
            assert_eq!(&joined, batch, "{size} ranks, step {step}");
        }
    }
}
