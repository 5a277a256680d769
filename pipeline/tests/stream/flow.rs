//! Backpressure, shutdown, and the two ways to consume.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use simsiam_pipeline::PipelineConfig;

use crate::fixture::{Fixture, digest, digests, training};

#[test]
fn a_stalled_consumer_stops_the_pipeline_at_its_bound() {
    const IN_FLIGHT: u64 = 2;
    let fixture = Fixture::new(64, &[]);
    for (workers, prefetch, delivered) in [(1, 1, 0), (2, 3, 1), (3, 2, 5), (2, 7, 20)] {
        let config = PipelineConfig { epochs: 0..1000, workers, prefetch, ..training() };
        let mut batches = fixture.start(&config);
        for _ in 0..delivered {
            batches.next().unwrap().unwrap();
        }
        let read = settled(|| batches.stats().samples);
        assert_eq!(
            read,
            8 * (delivered + prefetch as u64 + IN_FLIGHT),
            "{workers} workers, {prefetch} ahead"
        );
        let holds: Vec<_> = batches.stats().queues.iter().map(|queue| queue.holds).collect();
        assert_eq!(holds[..2], [0, 0], "no chunk is planned beyond the permits");
        assert_eq!(holds[3], prefetch, "the last queue is full");
    }
}

#[test]
fn a_consumer_may_keep_every_batch() {
    let fixture = Fixture::new(64, &[]);
    let kept: Vec<_> = fixture.start(&training()).map(Result::unwrap).collect();
    let kept: Vec<_> = kept.iter().map(digest).collect();
    assert_eq!(kept, digests(fixture.start(&training())));
}

#[test]
fn dropping_stops_every_thread_promptly() {
    let fixture = Fixture::new(64, &[]);
    for taken in [0, 1, 5] {
        let config = PipelineConfig { epochs: 0..1000, workers: 3, ..training() };
        let mut batches = fixture.start(&config);
        for _ in 0..taken {
            batches.next().unwrap().unwrap();
        }
        let dropped = Instant::now();
        drop(batches);
        assert!(dropped.elapsed() < Duration::from_secs(1), "it took {:?}", dropped.elapsed());
    }
}

#[test]
fn the_stream_gives_what_the_iterator_gives() {
    let fixture = Fixture::new(40, &[]);
    let mut stream = fixture.start(&training());
    let mut seen = Vec::new();
    // A consumer without a runtime: polls until there is an item.
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match Pin::new(&mut stream).poll_next(&mut cx) {
            Poll::Ready(Some(batch)) => seen.push(digest(&batch.unwrap())),
            Poll::Ready(None) => break,
            Poll::Pending => std::thread::yield_now(),
        }
    }
    assert_eq!(seen, digests(fixture.start(&training())));
}

#[test]
fn queues_are_measured() {
    let fixture = Fixture::new(40, &[]);
    let mut batches = fixture.start(&training());
    assert!(batches.by_ref().all(|batch| batch.is_ok()));
    let stats = batches.stats();
    assert_eq!(stats.samples, 80);
    let names: Vec<_> = stats.queues.iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["planned chunks", "ready chunks", "finished chunks", "batches"]);
    assert_eq!(stats.queues[3].items, 10);
    assert!(stats.decode_ms > 0.0 && stats.augment_ms > 0.0);
}

/// The value of `read` once it has stayed the same for a while.
fn settled(read: impl Fn() -> u64) -> u64 {
    let mut last = read();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {
        std::thread::sleep(Duration::from_millis(10));
        let now = read();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
