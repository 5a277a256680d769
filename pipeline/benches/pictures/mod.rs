//! What the benches read: pictures made here, and the JPEGs of a shard.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use simsiam_pipeline::rng::ViewRng;

/// RGB: waves of several frequencies with some noise, which a JPEG codes at a photograph's rate.
pub(crate) fn textured(width: usize, height: usize) -> Vec<u8> {
    let mut noise = ViewRng::new(0, 0, 0, 0);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (x as f64, y as f64);
            let wave = 60.0 * (x / 31.0 + y / 53.0).sin() + 30.0 * (x / 3.0).sin() * (y / 5.0).cos();
            let grain = noise.uniform(-12.0, 12.0);
            pixels.extend([0.9, 1.0, -0.7].map(|weight: f64| (128.0 + weight * wave + grain) as u8));
        }
    }
    pixels
}

/// Such a picture as a file.
pub(crate) fn jpeg(width: usize, height: usize) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 90);
    let pixels = textured(width, height);
    encoder.encode(&pixels, width as u32, height as u32, image::ExtendedColorType::Rgb8).unwrap();
    file.into_inner()
}

/// At most so many of a shard's `.jpg` members.
pub(crate) fn jpegs_of(path: &Path, most: usize) -> Vec<Vec<u8>> {
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
