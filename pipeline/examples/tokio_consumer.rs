//! An epoch as an async `Stream`: batches wait for a consumer that itself awaits something else.
//!
//! `cargo run --release -p simsiam-pipeline --example tokio_consumer -- SHARD...`

use std::env;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use simsiam_pipeline::{Dtype, Layout, Loader, Recipe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut loader = Loader::training(env::args().skip(1), Recipe::imagenet(), 64)
        .workers(std::thread::available_parallelism()?.get())
        .layout(Layout::Nhwc)
        .dtype(Dtype::U8)
        .build()?;
    let mut batches = loader.epoch(0)?;
    // `next().await` of the crates futures and tokio-stream does the same.
    while let Some(batch) = poll_fn(|cx| Pin::new(&mut batches).poll_next(cx)).await {
        let batch = batch?;
        send(batch.view::<u8>(0)).await;
        println!("step {}: {} images, {:?}", batch.step(), batch.len(), batch.shape(0));
    }
    Ok(())
}

/// Stands for a device or a network.
async fn send(_bytes: &[u8]) {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
