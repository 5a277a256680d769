//! JPEG decoding: whole, in part and reduced, with and without SIMD, compared with zune-jpeg.
//!
//! On generated pictures, and on the shards of `../shared/data` if there are any. Times are per file, cycling through the
//! files. A quick check: `cargo bench -p simsiam-pipeline --bench decode -- --test`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot read its input has nothing to measure")]

mod pictures;

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use simsiam_pipeline::Instructions;
use simsiam_pipeline::decode::{DecodeLimits, Decoder, probe};
use simsiam_pipeline::image::{Region, Scale, Wanted};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use pictures::{jpeg, jpegs_of};

criterion_group!(benches, made_pictures, shards);
criterion_main!(benches);

fn made_pictures(criterion: &mut Criterion) {
    bench_files(criterion, "photo 500x375 4:4:4", &[jpeg(500, 375)]);
    bench_files(criterion, "small 32x32 4:4:4", &[jpeg(32, 32)]);
}

fn shards(criterion: &mut Criterion) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    for (name, shard) in
        [("imagenet-sample", "imagenet-sample/train-000.tar"), ("cifar10", "cifar10/train-000.tar")]
    {
        if data.join(shard).is_file() {
            bench_files(criterion, name, &jpegs_of(&data.join(shard), 250));
        }
    }
}

fn bench_files(criterion: &mut Criterion, name: &str, files: &[Vec<u8>]) {
    let mut group = criterion.benchmark_group(name);
    let mut rgb = Vec::new();
    let mut next = files.iter().cycle();
    group.bench_function("zune-jpeg", |bencher| bencher.iter(|| zune(next.next().unwrap(), &mut rgb)));

    for (instructions, name) in [(Instructions::Detected, "detected"), (Instructions::Plain, "plain")] {
        let mut decoder = Decoder::with_instructions(DecodeLimits::default(), instructions);
        let mut next = files.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| decoder.decode(next.next().unwrap()).unwrap().pixels.len());
        });
    }

    let parts = [("centre half of the area", true, Scale::Full), ("scale 1/2", false, Scale::Half)];
    for (name, center, scale) in parts {
        let mut decoder = Decoder::default();
        let mut next = files.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let file = next.next().unwrap();
                let region = if center { center_half(file) } else { Region::EVERYTHING };
                decoder.decode_part(file, &Wanted { region, scale }).unwrap().pixels.len()
            });
        });
    }
}

/// The middle of an image, with 0.707 of each side.
fn center_half(file: &[u8]) -> Region {
    let info = probe(file).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let inner = |side: usize| side * 707 / 1000;
    let (left, top) = ((width - inner(width)) / 2, (height - inner(height)) / 2);
    Region { left, top, width: inner(width), height: inner(height) }
}

fn zune(file: &[u8], rgb: &mut Vec<u8>) {
    let options = DecoderOptions::new_fast().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().unwrap();
    rgb.resize(decoder.output_buffer_size().unwrap(), 0);
    decoder.decode_into(rgb).unwrap();
}
