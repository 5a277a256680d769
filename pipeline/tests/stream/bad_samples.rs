//! A bad sample never stops a run silently nor kills it needlessly.

use simsiam_pipeline::{OnBadSample, PipelineConfig, PipelineError, Recipe};

use crate::fixture::{Fixture, training};

#[test]
fn a_bad_sample_is_replaced_counted_and_named() {
    let fixture = Fixture::new(40, &[17]);
    let config = PipelineConfig { workers: 2, ..training() };
    for batch in fixture.start(&config) {
        let batch = batch.unwrap();
        assert_eq!(batch.len(), 8, "batches stay whole");
        assert!(batch.samples().all(|sample| sample != 17));
    }
    let bad = fixture.quarantine.list();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0].sample, 17);
    let text = bad[0].to_string();
    assert!(text.contains("train-001.tar") && text.contains("\"00017\""), "{text}");
}

#[test]
fn more_than_the_budget_stops_the_run_with_the_reason() {
    let fixture = Fixture::with_policy(40, &[1, 2, 3, 4], OnBadSample::Skip { budget: 0.05 });
    let error = fixture.start(&training()).find_map(Result::err).expect("three bad samples are too many");
    assert!(matches!(error, PipelineError::BudgetExceeded { bad: 3, samples: 40, budget: 2, .. }), "{error}");
}

#[test]
fn the_policy_fail_stops_at_the_first() {
    let fixture = Fixture::with_policy(40, &[1], OnBadSample::Fail);
    let mut batches = fixture.start(&training());
    let error = batches.find_map(Result::err).expect("one bad sample is too many");
    assert!(matches!(&error, PipelineError::BadSample(bad) if bad.sample == 1), "{error}");
    assert!(batches.next().is_none(), "an error is the last item");
    assert_eq!(fixture.quarantine.list()[0].sample, 1);
}

#[test]
fn data_without_a_usable_image_ends_whatever_the_budget() {
    let fixture = Fixture::with_policy(16, &(0..16).collect::<Vec<_>>(), OnBadSample::Skip { budget: 1.0 });
    let endless = PipelineConfig { epochs: 3..u64::MAX, ..training() };
    let mut batches = fixture.start(&endless);
    let error = batches.next().expect("an error").err().expect("no batch can be made");
    assert!(matches!(error, PipelineError::NoUsableImage { epoch: 3 }), "{error}");
    assert!(batches.next().is_none(), "an error is the last item");
    drop(fixture.start(&endless)); // before it is noticed
    let only = PipelineConfig { epochs: 3..4, ..training() };
    let error = fixture.start(&only).next().expect("an error").err().expect("no batch can be made");
    assert!(matches!(error, PipelineError::NoUsableImage { epoch: 3 }), "{error}");

    // An evaluation leaves out what it cannot use.
    let evaluation = PipelineConfig::evaluation(&Recipe::cifar10(), 8);
    assert!(fixture.start(&evaluation).next().is_none());
}
