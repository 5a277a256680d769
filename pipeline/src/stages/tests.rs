//! Faults injected into the reads of a running pipeline: slow, hanging, and panicking ones.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::caught;
use crate::queue::bounded;
use crate::shards::{OpenOptions, ShardWriter};
use crate::stats::Bottleneck;
use crate::{Batches, PipelineConfig, PipelineError, Quarantine, Recipe, ShardSet, start};

/// Starts a pipeline over 64 images of 8 x 8 pixels, in whose reads `fault` is called with the sample's number.
fn with_fault(config: &PipelineConfig, fault: impl Fn(u64) + Send + Sync + 'static) -> Batches {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train-000.tar");
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg).encode_image(&RgbImage::new(8, 8)).unwrap();
    let mut writer = ShardWriter::create(&path).unwrap();
    for number in 0..64 {
        writer.append(&format!("n{number:02}"), "jpg", &jpeg, None).unwrap();
    }
    writer.finish().unwrap();
    let mut shards = ShardSet::open(&[path.to_str().unwrap()], &OpenOptions::default()).unwrap();
    shards.before_read.0 = Some(Box::new(fault));
    let quarantine = Arc::new(Quarantine::new(Default::default(), shards.len()));
    start(Arc::new(shards), quarantine, config).unwrap()
}

fn config(workers: usize) -> PipelineConfig {
    let recipe = Recipe { size: 8, ..Recipe::cifar10() };
    PipelineConfig { workers, epochs: 0..1, ..PipelineConfig::training(recipe, 8, 0) }
}

#[test]
fn a_slow_disk_is_named_as_the_bottleneck() {
    let mut batches = with_fault(&config(2), |_| std::thread::sleep(Duration::from_millis(2)));
    assert_eq!(batches.by_ref().filter(Result::is_ok).count(), 8);
    let stats = batches.stats();
    assert_eq!(stats.bottleneck(), Bottleneck::Read, "{stats}");
    assert!(stats.to_string().starts_with("bottleneck read; "), "{stats}");
}

#[test]
fn a_panic_is_an_error_with_the_samples_name_and_the_last_item() {
    for workers in [1, 3] {
        let mut batches = with_fault(&config(workers), |sample| assert_ne!(sample, 17, "injected"));
        let error = batches.find_map(Result::err).expect("one epoch reads every sample");
        assert!(batches.next().is_none());
        let PipelineError::WorkerPanicked { place, message } = error else { panic!("{error}") };
        assert!(
            place.ends_with("train-000.tar, sample 17 \"n17\"") && message.contains("injected"),
            "{place}: {message}"
        );
    }
}

#[test]
fn a_stages_panic_is_the_last_item_and_not_an_early_end() {
    let (sender, receiver) = bounded::<Result<(), PipelineError>>("batches", 1);
    caught(&sender, || panic!("injected {}", 7));
    drop(sender);
    let error = receiver.recv_blocking().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the pipeline panicked: injected 7");
    assert!(receiver.recv_blocking().is_err(), "nothing follows");
}

#[test]
fn a_read_that_hangs_is_named_with_the_queues_and_the_rest_goes_on_after_it() {
    let (release, hang) = mpsc::sync_channel::<()>(0);
    let hang = Mutex::new(hang);
    let config = PipelineConfig { stall_after: Duration::from_millis(20), ..config(1) };
    let mut batches = with_fault(&config, move |sample| {
        if sample == 5 {
            let _ = hang.lock().unwrap().recv(); // until the test drops its end
        }
    });
    let stall = loop {
        std::thread::sleep(Duration::from_millis(5));
        // A busy machine may hold a worker up elsewhere: the stall that lasts is the one that was injected.
        if let Some(stall) = batches.stats().stall.filter(|stall| stall.contains("sample 5 ")) {
            break stall;
        }
    };
    assert!(stall.starts_with("no progress for 20ms: stage read in worker 0 at shard "), "{stall}");
    assert!(stall.contains("train-000.tar, sample 5 \"n05\"; planned chunks: "), "{stall}");
    assert!(stall.contains("; ready chunks: ") && stall.contains("; batches: "), "{stall}");
    drop(release);
    assert_eq!(batches.by_ref().filter(Result::is_ok).count(), 8);
}

#[test]
fn a_consumer_that_takes_its_time_is_no_stall() {
    let config = PipelineConfig { stall_after: Duration::from_millis(5), epochs: 0..100, ..config(1) };
    let batches = with_fault(&config, |_| ());
    let full = || batches.stats().queues.last().is_some_and(|queue| queue.holds == queue.capacity);
    while !full() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = batches.stats().stall;
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(batches.stats().stall, before);
}
