//! The loader that other programs embed: epochs, state, formats, and a step of their own.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use simsiam_pipeline::augment::{Chance, Crop, CustomStep, CustomView, NamedStep, PixelsMut, Step, Views};
use simsiam_pipeline::loader::{LoaderBuilder, StateError};
use simsiam_pipeline::{
    Dtype, FinishedView, LastBatch, Layout, Loader, LoaderState, Order, Part, Recipe, ViewOperation, World,
    f16,
};

use crate::fixture::{Fixture, digest, digests, training};

type Digest = (u64, u64, u64);

fn loader(fixture: &Fixture) -> LoaderBuilder {
    Loader::training([fixture.pattern()], Recipe::cifar10(), 8).seed(42).workers(2)
}

fn epoch(loader: &mut Loader, epoch: u64) -> Vec<Digest> {
    loader.epoch(epoch).unwrap().map(|batch| digest(&batch.unwrap())).collect()
}

#[test]
fn epochs_are_the_pipelines_in_any_order() {
    let fixture = Fixture::new(40, &[]);
    let whole = digests(fixture.start(&training()));
    let mut loader = loader(&fixture).build().unwrap();
    assert_eq!((loader.len(), loader.position()), (5, (0, 0)));
    assert_eq!([epoch(&mut loader, 0), epoch(&mut loader, 1)].concat(), whole);
    assert_eq!(loader.position(), (2, 0));
    assert_eq!(epoch(&mut loader, 1), whole[5..]);
    // An epoch that is left early goes on, unless it is sought.
    let first = loader.epoch(0).unwrap().next().unwrap().unwrap();
    assert_eq!(digest(&first), whole[0]);
    assert_eq!(epoch(&mut loader, 0), whole[1..5]);
    loader.seek(0, 3);
    assert_eq!(epoch(&mut loader, 0), whole[3..5]);
}

#[test]
fn a_state_goes_on_with_the_same_bytes_whatever_the_workers() {
    let fixture = Fixture::new(40, &[7]);
    let whole = digests(fixture.start(&training()));
    for taken in 0..10 {
        let mut first = loader(&fixture).build().unwrap();
        for number in 0..taken {
            first.epoch(number / 5).unwrap().next().unwrap().unwrap();
        }
        let json = serde_json::to_string(&first.state()).unwrap();
        drop(first);

        let mut second = loader(&fixture).seed(0).workers(3).build().unwrap();
        second.restore(serde_json::from_str(&json).unwrap()).unwrap();
        let epochs = second.position().0..2;
        let rest: Vec<_> = epochs.flat_map(|number| epoch(&mut second, number)).collect();
        assert_eq!(rest, whole[taken as usize..], "{json}");
    }
}

#[test]
fn a_state_of_a_part_goes_on_in_that_part() {
    let fixture = Fixture::new(40, &[]);
    let build = |held_out| {
        loader(&fixture).part(Part::Kept { held_out }).last_batch(LastBatch::Kept).build().unwrap()
    };
    let mut first = build(10);
    let whole = epoch(&mut first, 0);
    first.seek(0, 1);
    let json = serde_json::to_string(&first.state()).unwrap();
    let mut second = build(10);
    second.restore(serde_json::from_str(&json).unwrap()).unwrap();
    assert_eq!(epoch(&mut second, 0), whole[1..]);
    assert_eq!(build(9).restore(serde_json::from_str(&json).unwrap()), Err(StateError::Part));
}

#[test]
fn states_of_other_loaders_are_refused() {
    let fixture = Fixture::new(40, &[]);
    let mut loader = loader(&fixture).build().unwrap();
    let state = loader.state();
    let mut refused = |change: fn(&mut LoaderState)| {
        let mut state = state.clone();
        change(&mut state);
        loader.restore(state).unwrap_err()
    };
    assert_eq!(refused(|state| state.version = 9), StateError::Version { found: 9 });
    assert_eq!(refused(|state| state.batch_size = 4), StateError::BatchSize { found: 4, expected: 8 });
    assert_eq!(refused(|state| state.order = Order::Sequential), StateError::Order);
    assert_eq!(refused(|state| state.part = Part::Kept { held_out: 3 }), StateError::Part);
    assert_eq!(refused(|state| state.last_batch = LastBatch::Kept), StateError::LastBatch);
    assert_eq!(refused(|state| state.recipe.flip_p = 0.25), StateError::Recipe);
    assert_eq!(refused(|state| state.views = 1), StateError::Recipe);
    assert!(matches!(
        refused(|state| state.data = "7-0000000000000001".parse().unwrap()),
        StateError::Data { .. }
    ));
    assert_eq!(refused(|state| state.step = 5), StateError::Step { found: 5, steps: 5 });
}

#[test]
fn a_state_of_version_1_is_refused_by_its_version() {
    let fixture = Fixture::new(40, &[]);
    let mut loader = loader(&fixture).build().unwrap();
    let mut state = serde_json::to_value(loader.state()).unwrap();
    assert_eq!(state["order"], "shuffled");
    state["version"] = 1.into();
    for field in ["order", "part", "last_batch"] {
        state.as_object_mut().unwrap().remove(field).expect("version 2 has this field");
    }
    let error = loader.restore(serde_json::from_value(state).unwrap()).unwrap_err();
    assert_eq!(error, StateError::Version { found: 1 });
}

#[test]
fn the_stream_is_the_iterator() {
    let fixture = Fixture::new(40, &[]);
    let mut loader = loader(&fixture).build().unwrap();
    let expected = epoch(&mut loader, 0);
    loader.seek(0, 0);
    let mut stream = loader.epoch(0).unwrap();
    let mut seen = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut stream).poll_next(&mut cx) {
            Poll::Ready(Some(batch)) => seen.push(digest(&batch.unwrap())),
            Poll::Ready(None) => break,
            Poll::Pending => std::thread::yield_now(),
        }
    }
    assert_eq!(seen, expected);
}

#[test]
fn formats_hold_the_same_numbers() {
    let fixture = Fixture::new(16, &[]);
    let batch = |layout, dtype| {
        let mut loader = loader(&fixture).layout(layout).dtype(dtype).build().unwrap();
        loader.epoch(0).unwrap().next().unwrap().unwrap()
    };
    let planes = batch(Layout::Nchw, Dtype::F32);
    let pixels = batch(Layout::Nhwc, Dtype::F16);
    assert_eq!((planes.shape(1), pixels.shape(1)), ([8, 3, 32, 32], [8, 32, 32, 3]));
    let (planes, pixels) = (planes.view::<f32>(1), pixels.view::<f16>(1));
    for (i, &value) in planes.iter().enumerate() {
        let (image, channel, pixel) = (i / 3072, i % 3072 / 1024, i % 1024);
        assert_eq!(pixels[image * 3072 + pixel * 3 + channel], f16::from_f32(value));
    }
    let bytes = batch(Layout::Nchw, Dtype::U8);
    let recipe = Recipe::cifar10();
    for (i, (&byte, &value)) in bytes.view::<u8>(1).iter().zip(planes).enumerate() {
        let channel = i % 3072 / 1024;
        assert_eq!((f32::from(byte) / 255.0 - recipe.mean[channel]) / recipe.std[channel], value);
    }
}

#[test]
fn views_have_the_shapes_of_their_groups() {
    let fixture = Fixture::new(16, &[]);
    for (layout, small) in [(Layout::Nchw, [8, 3, 16, 16]), (Layout::Nhwc, [8, 16, 16, 3])] {
        for dtype in [Dtype::U8, Dtype::F16, Dtype::F32] {
            let builder = Loader::training([fixture.pattern()], Recipe::cifar10().swav(16), 8);
            let mut loader = builder.layout(layout).dtype(dtype).build().unwrap();
            let mut batch = loader.epoch(0).unwrap().next().unwrap().unwrap();
            assert_eq!((batch.views(), batch.size(0), batch.size(7)), (8, 32, 16));
            assert_eq!(batch.shape(2), small);
            for (view, size) in [(1, 32), (2, 16)] {
                assert_eq!(batch.bytes_mut(view).len(), 8 * 3 * size * size * dtype.bytes());
            }
        }
    }
    let refused = Loader::training([fixture.pattern()], Recipe::cifar10().swav(16), 8).views(2).build();
    let error = refused.map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "the recipe's `views` are 8, but 2 are to be made of each image");
}

#[test]
fn a_last_batch_is_kept_and_shared_by_ranks() {
    let fixture = Fixture::new(21, &[]);
    let lengths = |size, rank| -> Vec<usize> {
        let builder = loader(&fixture).order(Order::Shuffled).last_batch(LastBatch::Kept);
        let mut loader = builder.world(World { size, rank }).build().unwrap();
        let both = (0..2).map(|number| {
            let batches: Vec<_> = loader.epoch(number).unwrap().map(Result::unwrap).collect();
            assert!(batches.iter().all(|batch| batch.epoch() == number));
            batches.iter().map(|batch| batch.len()).collect::<Vec<_>>()
        });
        let [first, second] = both.collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(first, second);
        first
    };
    assert_eq!(lengths(1, 0), [8, 8, 5]);
    assert_eq!((lengths(2, 0), lengths(2, 1)), (vec![4, 4, 2], vec![4, 4, 3]));
    // Of five images the first of eight ranks has none.
    assert_eq!((lengths(8, 0), lengths(8, 7)), (vec![1, 1], vec![1, 1, 1]));
}

#[test]
fn an_evaluation_may_be_repeated() {
    let fixture = Fixture::new(21, &[]);
    let mut loader = Loader::evaluation([fixture.pattern()], &Recipe::cifar10(), 8).build().unwrap();
    assert_eq!(loader.len(), 3);
    for number in 0..3 {
        let samples: Vec<u64> = loader
            .epoch(number)
            .unwrap()
            .flat_map(|batch| batch.unwrap().samples().collect::<Vec<_>>())
            .collect();
        assert_eq!(samples, (0..21).collect::<Vec<_>>());
        assert!(!loader.is_running(), "no thread is left");
    }
}

/// Replaces every number by one that tells what the operation was given.
/// Writes a random byte over a view, or fails.
#[derive(Debug)]
struct Paint {
    fails: bool,
}

impl CustomStep for Paint {
    fn apply(&self, view: &mut CustomView<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.fails {
            return Err("out of paint".into());
        }
        assert_eq!(view.pixels.len(), 3 * view.size * view.size);
        view.pixels.fill(view.rng.below(256) as u8);
        Ok(())
    }
}

/// A list whose step `paint` comes last, or before an inversion.
fn painted(fixture: &Fixture, after: &[Step]) -> LoaderBuilder {
    let crop = Step::Crop(Crop::random_resized((0.2, 1.0)));
    let paint = Step::Custom(NamedStep { name: "paint".into(), p: 0.5 });
    let steps = [&[crop, paint], after].concat();
    let views = vec![Views { count: 2, size: None, steps }];
    let recipe = Recipe { crop: None, views, ..Recipe::cifar10().evaluation() };
    Loader::training([fixture.pattern()], recipe, 8).seed(42).dtype(Dtype::U8)
}

#[test]
fn a_custom_step_runs_at_its_place_with_its_own_stream() {
    let fixture = Fixture::new(16, &[]);
    let first = |builder: LoaderBuilder, workers| {
        let builder = builder.workers(workers).step("paint", Arc::new(Paint { fails: false }));
        builder.build().unwrap().epoch(0).unwrap().next().unwrap().unwrap()
    };
    let last = first(painted(&fixture, &[]), 1);
    let inverted = first(painted(&fixture, &[Step::Invert(Chance { p: 1.0 })]), 3);
    let mut colours = Vec::new();
    for view in 0..2 {
        let pairs = last.view::<u8>(view).chunks(3072).zip(inverted.view::<u8>(view).chunks(3072));
        for (before, after) in pairs {
            assert!(before.iter().zip(after).all(|(before, after)| *before == 255 - after));
            colours.extend(before.iter().all(|value| *value == before[0]).then_some(before[0]));
        }
    }
    colours.sort_unstable();
    colours.dedup();
    assert!((4..=12).contains(&colours.len()), "half of 16 views, each of its own: {colours:?}");
    let again = first(painted(&fixture, &[]), 3);
    assert!((0..2).all(|view| again.view::<u8>(view) == last.view::<u8>(view)));
}

#[test]
fn a_custom_step_that_fails_ends_the_epoch_with_its_name_and_place() {
    let fixture = Fixture::new(16, &[]);
    let builder = painted(&fixture, &[]).step("paint", Arc::new(Paint { fails: true }));
    let mut loader = builder.build().unwrap();
    for _ in 0..2 {
        let mut batches = loader.epoch(0).unwrap();
        let error = batches.next().unwrap().err().expect("it fails").to_string();
        assert!(error.contains("shard "), "{error}");
        assert!(
            error.ends_with("custom step `paint` (augmentation views[0].steps[1]): out of paint"),
            "{error}"
        );
        assert!(batches.next().is_none());
    }
    assert!(loader.quarantine().list().is_empty(), "nothing is wrong with the images");
}

#[test]
fn custom_steps_are_those_that_the_recipe_names() {
    let fixture = Fixture::new(16, &[]);
    let error = |builder: LoaderBuilder| builder.build().err().expect("they differ").to_string();
    let missing = error(painted(&fixture, &[]));
    assert!(
        missing.starts_with("augmentation views[0].steps[1]: no custom step `paint` was given"),
        "{missing}"
    );
    let unnamed = error(loader(&fixture).step("paint", Arc::new(Paint { fails: false })));
    assert!(unnamed.starts_with("custom step `paint` is not in the recipe"), "{unnamed}");
}

#[derive(Debug)]
struct Stamp;

impl ViewOperation for Stamp {
    fn apply(&self, view: &mut FinishedView<'_>) {
        let random = view.rng.uniform(0.0, 1.0) as f32;
        let PixelsMut::F32(values) = &mut view.pixels else { panic!("bytes were not asked for") };
        values.fill(1000.0 * view.view as f32 + view.sample as f32 + random);
    }
}

#[test]
fn an_operation_is_applied_to_every_view() {
    let fixture = Fixture::new(16, &[]);
    let stamped = |workers| {
        let builder = loader(&fixture).workers(workers).operation(Arc::new(Stamp));
        builder.build().unwrap().epoch(0).unwrap().next().unwrap().unwrap()
    };
    let batch = stamped(1);
    for view in 0..2 {
        for (values, sample) in batch.view::<f32>(view).chunks(3072).zip(batch.samples()) {
            assert_eq!(values[0].floor(), (1000 * view as u64 + sample) as f32);
            assert!(values.iter().all(|&value| value == values[0]));
        }
    }
    assert_eq!(digest(&batch), digest(&stamped(3)));
}

#[test]
fn an_operation_that_panics_ends_the_epoch_with_the_samples_name() {
    let fixture = Fixture::new(16, &[]);
    let builder = loader(&fixture).dtype(Dtype::U8).operation(Arc::new(Stamp));
    let mut loader = builder.build().unwrap();
    for _ in 0..2 {
        let mut batches = loader.epoch(0).unwrap();
        let error = batches.next().unwrap().err().expect("it panics").to_string();
        assert!(error.contains("shard ") && error.contains("bytes were not asked for"), "{error}");
        assert!(batches.next().is_none());
    }
}
