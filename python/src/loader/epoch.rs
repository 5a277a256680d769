//! The batches of one epoch, and the wait for the next.

use std::pin::Pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_core::Stream;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use simsiam_pipeline::ShardSet;

use super::{Loader, process_of_threads};
use crate::batch::Batch;
use crate::error;

/// How long a wait for a batch goes on before Python is asked whether the user wants to stop.
const TICK: Duration = Duration::from_millis(50);

/// The batches of one epoch.
#[pyclass(frozen, module = "simsiam")]
pub(crate) struct Epoch {
    pub(super) epoch: u64,
    pub(super) iteration: u64,
    pub(super) loader: Py<Loader>,
}

#[pymethods]
impl Epoch {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(item) = self.poll(py, &waker)? {
                return item.map(|(batch, shards)| Batch::new(py, batch, shards)).transpose();
            }
            // Without the loader's lock: other threads may use it meanwhile, and so may a signal's handler on this one.
            py.detach(|| thread::park_timeout(TICK));
            py.check_signals()?;
        }
    }
}

impl Epoch {
    /// The next item, if it is there.
    fn poll(&self, py: Python<'_>, waker: &Waker) -> PyResult<Poll<Item>> {
        let loader = self.loader.get();
        let mut inner = loader.lock(py)?;
        let inner = &mut *inner;
        if inner.iteration != self.iteration {
            return Err(PyRuntimeError::new_err(
                "the loader has begun another iteration, or was moved or restored",
            ));
        }
        if inner.loader.position().0 != self.epoch {
            return Ok(Poll::Ready(None));
        }
        loader.running_in.store(process::id(), Relaxed);
        inner.loader.adopt();
        let pipeline = &mut *inner.loader;
        let polled = py.detach(|| {
            let batches = pipeline.epoch(self.epoch);
            batches.map(|mut batches| Pin::new(&mut batches).poll_next(&mut Context::from_waker(waker)))
        });
        if !inner.loader.is_running() {
            loader.running_in.store(process_of_threads(&inner.loader), Relaxed);
        }
        match polled.map_err(error::config)? {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(None) => Ok(Poll::Ready(None)),
            Poll::Ready(Some(Ok(batch))) => Ok(Poll::Ready(Some((batch, inner.loader.shards().clone())))),
            Poll::Ready(Some(Err(error))) => {
                inner.iteration += 1;
                Err(error::pipeline(error))
            }
        }
    }
}

/// A batch and the shards that know its keys, or the end of the epoch.
type Item = Option<(simsiam_pipeline::Batch, Arc<ShardSet>)>;

/// Wakes a thread that waits for a batch.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
