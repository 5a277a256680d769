//! The bytes of an object: a whole one by several connections, or a small part.

use std::ops::Range;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::{GetOptions, GetRange, ObjectStore};

use super::wire;
use super::{Cause, Connection, RemoteError, RemoteObject};
use crate::cache::{Cache, CacheError, Claim, Held, Reservation};

/// What one request asks for, in bytes: large enough that its round trip hardly counts, small enough to be sent again.
const PART: u64 = 8 << 20;

/// A server that sends less for as long as the time limit has stalled, in bytes a second.
const SLOWEST: f64 = 1024.0;

impl Connection {
    /// See [`Remote::fetch`](super::Remote::fetch).
    pub(super) async fn fetch(&self, object: &RemoteObject, cache: &Cache) -> Result<Held, RemoteError> {
        let failed = |error: CacheError| Cause::Cache(error).once(&object.at);
        match cache.claim(&object.key(), object.bytes).await.map_err(failed)? {
            Claim::Held(held) => Ok(held),
            Claim::Reserved(reservation) => {
                self.download(object, &reservation).await?;
                // The disk may take a while: this thread is none of the runtime's meanwhile.
                tokio::task::block_in_place(|| reservation.commit()).map_err(failed)
            }
        }
    }

    /// All of the object, into the place reserved for it.
    async fn download(&self, object: &RemoteObject, into: &Reservation) -> Result<(), RemoteError> {
        if object.bytes <= PART {
            return self.download_part(object, None, into).await;
        }
        let starts = (0..object.bytes).step_by(PART as usize);
        let parts = starts.map(|start| start..object.bytes.min(start + PART));
        let mut parts: FuturesUnordered<_> =
            parts.map(|part| self.download_part(object, Some(part), into)).collect();
        loop {
            match parts.try_next().await {
                Ok(Some(())) => {}
                Ok(None) => return Ok(()),
                Err(RemoteError { cause: Cause::NoRanges, .. }) => break,
                Err(error) => return Err(error),
            }
        }
        drop(parts);
        self.download_part(object, None, into).await
    }

    /// A part of the object, or all of it in one stream.
    async fn download_part(
        &self,
        object: &RemoteObject,
        part: Option<Range<u64>>,
        into: &Reservation,
    ) -> Result<(), RemoteError> {
        let mut tries = self.retry.tries(&object.at);
        loop {
            match self.receive(object, part.clone(), |offset, bytes| into.write_at(offset, bytes)).await {
                Ok(()) => return Ok(()),
                Err(cause) => tries.failed(cause).await?,
            }
        }
    }

    /// See [`Remote::read`](super::Remote::read).
    pub(super) async fn read(&self, object: &RemoteObject, range: Range<u64>) -> Result<Bytes, RemoteError> {
        if range.start >= range.end || range.end > object.bytes {
            let cause =
                format!("has {} bytes, {} to {} were asked for", object.bytes, range.start, range.end);
            return Err(Cause::BadUrl(cause).once(&object.at));
        }
        let mut tries = self.retry.tries(&object.at);
        let mut part = Some(range.clone());
        loop {
            let mut kept = Vec::new();
            let from = part.as_ref().map_or(range.start, |_| 0);
            let received = self.receive(object, part.clone(), |_, bytes| {
                kept.extend_from_slice(bytes);
                Ok(())
            });
            match received.await {
                Ok(()) => {
                    let from = from as usize;
                    return Ok(Bytes::from(kept).slice(from..from + (range.end - range.start) as usize));
                }
                // Then all of it, to take the part from.
                Err(Cause::NoRanges) => part = None,
                Err(cause) => tries.failed(cause).await?,
            }
        }
    }

    /// One request for a part of the object, or for all of it. `keep` is given the bytes and where they belong.
    async fn receive(
        &self,
        object: &RemoteObject,
        part: Option<Range<u64>>,
        mut keep: impl FnMut(u64, &[u8]) -> Result<(), CacheError>,
    ) -> Result<(), Cause> {
        let (store, path) = (self.clients.of(&object.at)?, object.at.path()?);
        let range = part.clone().unwrap_or(0..object.bytes);
        let options = GetOptions {
            range: part.map(GetRange::Bounded),
            if_match: object.strong_etag(),
            ..GetOptions::default()
        };
        let _slot = self.slot().await;
        let answer = store.get_opts(&path, options).await;
        let answer = answer.map_err(|error| self.clients.cause(&error, &object.at))?;
        if !object.is_same(&answer.meta) {
            return Err(Cause::Changed);
        }
        let expected = range.end - range.start;
        let mut received = 0;
        let mut window = (Instant::now(), 0);
        let mut body = answer.into_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| self.cut_off(&error, received, expected))?;
            let offset = range.start + received;
            received += bytes.len() as u64;
            if received > expected {
                return Err(Cause::BadAnswer(format!("more than the {expected} bytes that it announced")));
            }
            keep(offset, &bytes)?;
            if window.0.elapsed() > self.timeout {
                if ((received - window.1) as f64) < SLOWEST * self.timeout.as_secs_f64() {
                    return Err(self.stalled(received, expected));
                }
                window = (Instant::now(), received);
            }
        }
        if received < expected { Err(Cause::Truncated { received, expected }) } else { Ok(()) }
    }

    /// Why a body ended early.
    fn cut_off(&self, error: &object_store::Error, received: u64, expected: u64) -> Cause {
        match wire::find::<HttpError>(error).map(HttpError::kind) {
            Some(HttpErrorKind::Timeout) => self.stalled(received, expected),
            _ => Cause::Truncated { received, expected },
        }
    }

    fn stalled(&self, received: u64, expected: u64) -> Cause {
        Cause::Stalled { seconds: self.timeout.as_secs_f64(), received, expected }
    }
}
