//! Brings the bytes near that the workers need next, and is the one place that waits for them.
//!
//! Of what is mapped, the system is asked for the pages; the samples themselves are views into the mapping. What has to be waited
//! for, as a folder's files, is read here by threads of its own, several chunks at a time, so that no worker waits for a disk or a
//! network.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Chunk;
use super::foresight::Foresight;
use crate::queue::{Receiver, Sender};
use crate::shards::{ReadError, ShardSet};
use crate::stats::timed;

/// Threads that read at the same time: as many as make a network's file system fast, and no burden where files are in memory.
pub(crate) const MOST_FETCHING: usize = 16;

/// A sample's bytes, read ahead; `None` where the worker finds them in a mapping.
pub(crate) type Fetched = Option<Result<Vec<u8>, ReadError>>;

/// Buffers of samples that are done with, for the next ones.
#[derive(Debug, Default)]
pub(crate) struct SpareBuffers(Mutex<Vec<Vec<u8>>>);

impl SpareBuffers {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// The stage.
pub(crate) struct Read {
    pub(crate) shards: Arc<ShardSet>,
    pub(crate) buffers: Arc<SpareBuffers>,
    /// Closed when the pipeline stops.
    pub(crate) stop: Arc<Semaphore>,
    /// Where some shards are fetched before they are read.
    pub(crate) foresight: Option<Foresight>,
}

/// Runs until the plan ends or the pipeline stops; its output queue is the read-ahead window.
pub(crate) async fn run(mut read: Read, planned: Receiver<Chunk>, ready: Sender<Chunk>) {
    let mut fetching: VecDeque<(Chunk, JoinHandle<Vec<Fetched>>)> = VecDeque::new();
    // A chunk whose shards find no room in the cache beside those that are being read.
    let mut held_back: Option<Chunk> = None;
    let mut is_planned = false;
    let stop = read.stop.clone();
    while !(is_planned && fetching.is_empty() && held_back.is_none()) {
        let is_next = fetching.is_empty() && held_back.is_some();
        tokio::select! {
            biased;
            _ = stop.acquire() => return,
            fetched = async { read.fetch_in_turn(held_back.as_ref()).await }, if is_next => {
                let Some(mut chunk) = held_back.take() else { return };
                chunk.fetched = fetched;
                if ready.send(chunk).await.is_err() {
                    return;
                }
            }
            fetched = async { (&mut fetching[0].1).await }, if !fetching.is_empty() => {
                let Some((mut chunk, _)) = fetching.pop_front() else { return };
                read.foresee(&chunk);
                // Where reading panicked, the worker reads, and its panics have an error.
                chunk.fetched = fetched.unwrap_or_default();
                if ready.send(chunk).await.is_err() {
                    return;
                }
            }
            chunk = planned.recv(), if !is_planned && held_back.is_none() && fetching.len() < MOST_FETCHING => {
                let Ok(chunk) = chunk else {
                    is_planned = true;
                    continue;
                };
                if !chunk.samples().any(|sample| read.shards.waits_for(sample)) {
                    timed("read ahead", || chunk.samples().for_each(|sample| read.shards.read_ahead(sample)));
                    if ready.send(chunk).await.is_err() {
                        return;
                    }
                } else if read.is_near(&chunk) {
                    let samples = chunk.samples().collect();
                    fetching.push_back((chunk, read.fetch(samples)));
                } else {
                    held_back = Some(chunk);
                }
            },
        }
    }
}

impl Read {
    /// All chunks before this one are read.
    fn foresee(&mut self, chunk: &Chunk) {
        if let (Some(foresight), Some((_, position))) = (&mut self.foresight, chunk.positions().next()) {
            foresight.at(chunk.epoch, position, &self.shards);
        }
    }

    /// Whether a chunk can be read beside those that are being read.
    fn is_near(&self, chunk: &Chunk) -> bool {
        let mut positions = chunk.positions().map(|(_, position)| position);
        let (first, last) = (positions.next(), positions.last());
        match (&self.foresight, first) {
            (Some(foresight), Some(first)) => foresight.is_near(chunk.epoch, first..=last.unwrap_or(first)),
            _ => true,
        }
    }

    /// Reads what has to be waited for.
    #[expect(clippy::disallowed_methods, reason = "it waits for files and servers, and computes nothing")]
    fn fetch(&self, samples: Vec<u64>) -> JoinHandle<Vec<Fetched>> {
        let (shards, buffers) = (self.shards.clone(), self.buffers.clone());
        let fetch = move |sample| {
            if !shards.waits_for(sample) {
                shards.read_ahead(sample);
                return None;
            }
            let encoded = timed("fetch", || shards.read_into(sample, buffers.take()));
            Some(encoded.map(|encoded| encoded.into_buffer()))
        };
        spawn_blocking(move || samples.into_iter().map(fetch).collect())
    }

    /// Reads one sample after the other, and lets go of shards in between: those of two windows need not fit at a time.
    async fn fetch_in_turn(&mut self, chunk: Option<&Chunk>) -> Vec<Fetched> {
        let mut fetched = Vec::new();
        let Some(chunk) = chunk else { return fetched };
        for ((_, position), sample) in chunk.positions().zip(chunk.samples()) {
            if let Some(foresight) = &mut self.foresight {
                foresight.at(chunk.epoch, position, &self.shards);
            }
            // Where reading panicked, the worker reads.
            fetched.push(self.fetch(vec![sample]).await.unwrap_or_default().pop().flatten());
        }
        fetched
    }
}
