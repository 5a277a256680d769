//! Prints how many JPEGs per second one thread decodes to RGB, from memory, for `benches/decode.py`.
//!
//! `cargo run -p simsiam-pipeline --example decode_rate -- ROUNDS FILE...`
//!
//! Each file counts with its least time over all rounds, which reduces the effect of other load.

use std::env;
use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use simsiam_pipeline::decode::Decoder;

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = env::args().nth(1).ok_or("usage: decode_rate ROUNDS FILE...")?.parse()?;
    let files = env::args().skip(2).map(fs::read).collect::<Result<Vec<_>, _>>()?;
    let mut least = vec![Duration::MAX; files.len()];
    let mut decoder = Decoder::default();
    for _ in 0..rounds {
        for (file, least) in files.iter().zip(&mut least) {
            let start = Instant::now();
            decoder.decode(file)?;
            *least = start.elapsed().min(*least);
        }
    }
    println!("{:.1}", files.len() as f64 / least.iter().sum::<Duration>().as_secs_f64());
    Ok(())
}
