//! Prints the checksums of a data set's pixels, for `benches/peers/pillow_check.py` to compare with Pillow's.
//!
//! `cargo run -p simsiam-pipeline --example pixel_checksums -- SHARD...`
//!
//! A line is a sample: its key, and the CRC-32 of its RGB bytes at 1, 1/2, 1/4 and 1/8 of its size, `-` where the file is
//! decoded at full size only.

use std::env;
use std::error::Error;
use std::io::{self, BufWriter, Write};

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::{DecodeError, Decoder};
use simsiam_pipeline::image::{Scale, Wanted};
use simsiam_pipeline::shards::OpenOptions;

fn main() -> Result<(), Box<dyn Error>> {
    let shards = ShardSet::open(&env::args().skip(1).collect::<Vec<_>>(), &OpenOptions::default())?;
    let mut decoder = Decoder::default();
    let mut out = BufWriter::new(io::stdout().lock());
    for sample in 0..shards.len() {
        let encoded = shards.read(sample)?;
        write!(out, "{}", encoded.key())?;
        for scale in [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth] {
            match checksum(&mut decoder, &encoded.bytes, scale)? {
                Some(crc) => write!(out, " {crc:08x}")?,
                None => write!(out, " -")?,
            }
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

/// `None` if the file cannot be decoded at this scale.
fn checksum(decoder: &mut Decoder, file: &[u8], scale: Scale) -> Result<Option<u32>, DecodeError> {
    let image = decoder.decode_part(file, &Wanted { scale, ..Wanted::WHOLE })?;
    Ok((image.scale == scale).then(|| crc32fast::hash(image.pixels)))
}
