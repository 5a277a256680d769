//! Background work.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::task::AbortHandle;

use super::{Cause, RemoteError};

/// What was started, and will have a result: awaited by async code, [waited](Self::wait) for by other code. Dropped, it
/// is stopped, and leaves nothing half done behind.
pub(crate) struct Task<T> {
    /// What it is about, for an error that has no other place.
    about: String,
    result: Pin<Box<async_channel::Receiver<Result<T, RemoteError>>>>,
    abort: Option<AbortHandle>,
}

impl<T> Task<T> {
    /// `abort` stops what sends into `result`'s other end.
    pub(super) fn new(
        about: String,
        result: async_channel::Receiver<Result<T, RemoteError>>,
        abort: Option<AbortHandle>,
    ) -> Task<T> {
        Task { about, result: Box::pin(result), abort }
    }

    /// Blocks until the work is done. Not for async code, which awaits the task.
    ///
    /// # Errors
    /// Those of the work, or that it was stopped.
    pub(crate) fn wait(self) -> Result<T, RemoteError> {
        self.result.recv_blocking().unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Whether [`wait`](Self::wait) returns at once.
    pub(crate) fn is_done(&self) -> bool {
        !self.result.is_empty() || self.result.is_closed()
    }

    fn stopped(&self) -> RemoteError {
        Cause::Stopped.once(&self.about)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, RemoteError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.result.as_mut().poll_next(cx));
        Poll::Ready(result.unwrap_or_else(|| Err(self.stopped())))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}
