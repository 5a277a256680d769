//! Bounded queues between the stages, which measure their waits.
//!
//! A queue is an [`async_channel`] with three counters: how long producers waited for room, how long consumers waited
//! for an item, and how full it was. Async stages await; worker threads and the blocking iterator block.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use async_channel::{RecvError, SendError};
use futures_core::Stream;

/// A bounded queue named after what flows through it.
pub(crate) fn bounded<T>(name: &'static str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = async_channel::bounded(capacity);
    let meter = Arc::new(Meter { name, capacity, ..Meter::default() });
    (Sender { inner: sender, meter: meter.clone() }, Receiver { inner: receiver, meter })
}

/// What one queue has measured since it was made.
#[derive(Default, Debug)]
pub(crate) struct Meter {
    name: &'static str,
    capacity: usize,
    put: AtomicU64,
    items: AtomicU64,
    occupancy_sum: AtomicU64,
    put_wait_ns: AtomicU64,
    get_wait_ns: AtomicU64,
}

/// A queue's measurements at one moment.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct QueueStats {
    /// What flows through the queue.
    pub name: &'static str,
    /// Items that it holds at most.
    pub capacity: usize,
    /// Items taken from it so far.
    pub items: u64,
    /// Items in it now.
    pub holds: usize,
    /// Items that a consumer found in it, on average.
    pub mean_occupancy: f64,
    /// Time producers have waited for room, summed over producers, in milliseconds.
    pub put_wait_ms: f64,
    /// Time consumers have waited for an item, summed over consumers, in milliseconds.
    pub get_wait_ms: f64,
}

impl QueueStats {
    /// What was measured after `before`; `holds` is that of now.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let items = self.items - before.items;
        let found = |stats: &Self| stats.mean_occupancy * stats.items as f64;
        Self {
            items,
            mean_occupancy: (found(self) - found(before)) / items.max(1) as f64,
            put_wait_ms: self.put_wait_ms - before.put_wait_ms,
            get_wait_ms: self.get_wait_ms - before.get_wait_ms,
            ..self.clone()
        }
    }
}

impl Meter {
    pub(crate) fn stats(&self) -> QueueStats {
        let items = self.items.load(Relaxed);
        QueueStats {
            name: self.name,
            capacity: self.capacity,
            items,
            // The counters are read one after the other, while the queue is in use.
            holds: (self.put.load(Relaxed).saturating_sub(items) as usize).min(self.capacity),
            mean_occupancy: self.occupancy_sum.load(Relaxed) as f64 / items.max(1) as f64,
            put_wait_ms: self.put_wait_ns.load(Relaxed) as f64 / 1e6,
            get_wait_ms: self.get_wait_ns.load(Relaxed) as f64 / 1e6,
        }
    }

    /// Counts an item, unless the queue was closed, for whose room a producer waited since `since`.
    fn put(&self, since: Instant, sent: bool) {
        self.put.fetch_add(sent.into(), Relaxed);
        self.put_wait_ns.fetch_add(since.elapsed().as_nanos() as u64, Relaxed);
    }

    /// Counts an item for which a consumer waited since `since`, when the queue held `occupancy` items.
    fn took(&self, since: Instant, occupancy: usize) {
        self.get_wait_ns.fetch_add(since.elapsed().as_nanos() as u64, Relaxed);
        self.items.fetch_add(1, Relaxed);
        self.occupancy_sum.fetch_add(occupancy as u64, Relaxed);
    }
}

/// The producers' end. The queue ends when all senders are dropped and it is empty.
pub(crate) struct Sender<T> {
    inner: async_channel::Sender<T>,
    meter: Arc<Meter>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), meter: self.meter.clone() }
    }
}

impl<T> Sender<T> {
    pub(crate) async fn send(&self, item: T) -> Result<(), SendError<T>> {
        let since = Instant::now();
        let sent = self.inner.send(item).await;
        self.meter.put(since, sent.is_ok());
        sent
    }

    pub(crate) fn send_blocking(&self, item: T) -> Result<(), SendError<T>> {
        let since = Instant::now();
        let sent = self.inner.send_blocking(item);
        self.meter.put(since, sent.is_ok());
        sent
    }
}

/// The consumers' end.
pub(crate) struct Receiver<T> {
    inner: async_channel::Receiver<T>,
    meter: Arc<Meter>,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), meter: self.meter.clone() }
    }
}

impl<T> Receiver<T> {
    pub(crate) async fn recv(&self) -> Result<T, RecvError> {
        let (since, occupancy) = (Instant::now(), self.inner.len());
        let item = self.inner.recv().await?;
        self.meter.took(since, occupancy);
        Ok(item)
    }

    pub(crate) fn recv_blocking(&self) -> Result<T, RecvError> {
        let (since, occupancy) = (Instant::now(), self.inner.len());
        let item = self.inner.recv_blocking()?;
        self.meter.took(since, occupancy);
        Ok(item)
    }

    pub(crate) fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// A handle that closes the queue without keeping it open.
    pub(crate) fn closer(&self) -> Closer<T> {
        Closer(self.inner.downgrade())
    }

    /// The end of the pipeline: polled by a `Stream` or blocked on by an iterator.
    pub(crate) fn into_delivery(self) -> Delivery<T> {
        Delivery { inner: Box::pin(self.inner), meter: self.meter, pending: None }
    }
}

/// Closes a queue from outside.
pub(crate) struct Closer<T>(async_channel::WeakReceiver<T>);

impl<T> Closer<T> {
    /// Ends the queue for both sides: senders fail at once, receivers after what is left in it.
    pub(crate) fn close(&self) {
        if let Some(receiver) = self.0.upgrade() {
            receiver.close();
        }
    }
}

/// The last queue's receiving end.
pub(crate) struct Delivery<T> {
    inner: Pin<Box<async_channel::Receiver<T>>>,
    meter: Arc<Meter>,
    /// Since when, and with how many items in the queue, a poll has been waiting.
    pending: Option<(Instant, usize)>,
}

impl<T> Delivery<T> {
    pub(crate) fn recv_blocking(&mut self) -> Option<T> {
        let (since, occupancy) = (Instant::now(), self.inner.len());
        let item = self.inner.recv_blocking().ok()?;
        self.meter.took(since, occupancy);
        Some(item)
    }

    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let (since, occupancy) = *self.pending.get_or_insert_with(|| (Instant::now(), self.inner.len()));
        let item = ready!(self.inner.as_mut().poll_next(cx));
        self.pending = None;
        if item.is_some() {
            self.meter.took(since, occupancy);
        }
        Poll::Ready(item)
    }

    pub(crate) fn close(&self) {
        self.inner.close();
    }
}
