//! Asks the system for the pages that the workers need next. The samples themselves are views into the mapping.

use std::sync::Arc;

use super::Chunk;
use crate::queue::{Receiver, Sender};
use crate::shards::ShardSet;

/// Runs until the plan ends or the pipeline stops; its output queue is the read-ahead window.
pub(crate) async fn run(shards: Arc<ShardSet>, planned: Receiver<Chunk>, ready: Sender<Chunk>) {
    while let Ok(chunk) = planned.recv().await {
        read_ahead(&shards, &chunk);
        if ready.send(chunk).await.is_err() {
            return;
        }
    }
}

fn read_ahead(shards: &ShardSet, chunk: &Chunk) {
    for (_, position) in chunk.positions() {
        shards.read_ahead(chunk.order.sample(position));
    }
}
