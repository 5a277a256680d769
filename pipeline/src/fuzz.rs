//! The fuzz targets of `fuzz/`, and a test that replays their seeds with mutations.

pub use crate::shards::fuzz::{index, tar};

use crate::Instructions;
use crate::decode::{DecodeError, DecodeLimits, Decoder, probe};
use crate::image::{Region, Scale, Wanted};

/// Decodes a file whole, a part of it, and that part at a quarter: SIMD and plain code agree in every case. And where
/// zune-jpeg reads the whole, too, it does not read another image.
pub fn jpeg(bytes: &[u8]) {
    let Ok(info) = probe(bytes) else { return };
    let limits = DecodeLimits { max_pixels: 1 << 18 };
    let mut decoders = [Instructions::Detected, Instructions::Plain]
        .map(|instructions| Decoder::with_instructions(limits, instructions));
    let (width, height) = (info.width as usize, info.height as usize);
    let middle = Region { left: width / 3, top: height / 3, width: width / 3 + 1, height: height / 3 + 1 };
    for (region, scale) in
        [(Wanted::WHOLE.region, Scale::Full), (middle, Scale::Full), (middle, Scale::Quarter)]
    {
        let wanted = Wanted { region, scale };
        let [simd, plain] = decoders.each_mut().map(|decoder| {
            let part = decoder.decode_part(bytes, &wanted)?;
            let rows =
                (0..part.height).map(|row| part.pixels[row * part.stride..][..3 * part.width].to_vec());
            Ok::<_, DecodeError>(((part.left, part.top, part.width), rows.collect::<Vec<_>>()))
        });
        assert_eq!(simd, plain);
    }
    let disputed = decoders[0].verify(bytes);
    assert!(!matches!(disputed, Err(DecodeError::Disputed { .. })), "{disputed:?}");
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn the_tar_reader_survives_its_seeds() {
        replay("../fuzz/seeds/tar", "../fuzz/seeds/tar.tar", 3_000, tar);
    }

    #[test]
    fn the_index_reader_survives_its_seeds() {
        replay("../fuzz/seeds/index", "../fuzz/seeds/index.tar", 3_000, index);
    }

    #[test]
    fn the_decoders_survive_their_seeds() {
        replay("tests/golden/files", "../fuzz/seeds/jpeg.tar", 3_000, jpeg);
    }
}
