//! Same seed, same bytes: any workers, any ranks, any resume.

use simsiam_pipeline::{PipelineConfig, World};

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
