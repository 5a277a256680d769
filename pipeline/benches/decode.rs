//! JPEG decoding: whole, in part and reduced, on either instruction set, beside zune-jpeg.
//!
//! On pictures made here, and on the shards of `../shared/data` where there are any. The time is that of one file, going
//! round the files. A quick check: `cargo bench -p simsiam-pipeline --bench decode -- --test`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot read its input has nothing to measure")]

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use simsiam_pipeline::Instructions;
use simsiam_pipeline::decode::{DecodeLimits, Decoder, probe};
use simsiam_pipeline::image::{Region, Scale, Wanted};
use simsiam_pipeline::rng::ViewRng;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

criterion_group!(benches, made_pictures, shards);
criterion_main!(benches);

fn made_pictures(criterion: &mut Criterion) {
    bench_files(criterion, "photo 500x375 4:4:4", &[picture(500, 375)]);
    bench_files(criterion, "small 32x32 4:4:4", &[picture(32, 32)]);
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

/// Waves of several frequencies with some noise, which a JPEG codes at a photograph's rate.
fn picture(width: u16, height: u16) -> Vec<u8> {
    let mut noise = ViewRng::new(0, 0, 0, 0);
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f64::from(x), f64::from(y));
            let wave = 60.0 * (x / 31.0 + y / 53.0).sin() + 30.0 * (x / 3.0).sin() * (y / 5.0).cos();
            let grain = noise.uniform(-12.0, 12.0);
            pixels.extend([0.9, 1.0, -0.7].map(|weight: f64| (128.0 + weight * wave + grain) as u8));
        }
    }
    let mut file = Cursor::new(Vec::new());
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 90);
    encoder.encode(&pixels, width.into(), height.into(), image::ExtendedColorType::Rgb8).unwrap();
    file.into_inner()
}

fn jpegs_of(path: &Path, most: usize) -> Vec<Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    let jpegs = entries.filter(|entry| entry.path().unwrap().extension().is_some_and(|it| it == "jpg"));
    let read = |mut entry: tar::Entry<'_, File>| {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        bytes
    };
    jpegs.take(most).map(read).collect()
}
