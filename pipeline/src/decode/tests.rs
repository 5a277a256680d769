//! Bad files give errors that say what was found; odd files decode.

use std::fs;
use std::path::Path;

use super::*;
use crate::rng::ViewRng;

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files").join(name)).unwrap()
}

fn error(bytes: &[u8]) -> String {
    Decoder::default().decode(bytes).unwrap_err().to_string()
}

/// A JPEG whose frame header gives another size.
fn resized(mut jpeg: Vec<u8>, width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg.windows(2).position(|pair| matches!(pair, [0xff, 0xc0 | 0xc2])).unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

#[test]
fn headers_are_probed() {
    use Color::{Cmyk, Gray, GrayAlpha, Palette, Rgb, Rgba};
    for (file, format, color, bits, progressive) in [
        ("baseline-420.jpg", ImageFormat::Jpeg, Rgb, 8, false),
        ("progressive-420.jpg", ImageFormat::Jpeg, Rgb, 8, true),
        ("gray.jpg", ImageFormat::Jpeg, Gray, 8, false),
        ("cmyk-adobe.jpg", ImageFormat::Jpeg, Cmyk, 8, false),
        ("exif-rotated.jpg", ImageFormat::Jpeg, Rgb, 8, false),
        ("gray-alpha.png", ImageFormat::Png, GrayAlpha, 8, false),
        ("gray-16.png", ImageFormat::Png, Gray, 16, false),
        ("palette.png", ImageFormat::Png, Palette, 8, false),
        ("rgba.png", ImageFormat::Png, Rgba, 8, false),
        ("lossy.webp", ImageFormat::WebP, Rgb, 8, false),
        ("rgb.bmp", ImageFormat::Bmp, Rgb, 8, false),
        ("rgb.tiff", ImageFormat::Tiff, Rgb, 8, false),
        ("rgb.ppm", ImageFormat::Pnm, Rgb, 8, false),
    ] {
        let expected = ImageInfo { format, width: 61, height: 45, color, bits, progressive };
        assert_eq!(probe(&golden(file)), Ok(expected), "{file}");
    }
}

#[test]
fn what_is_no_image_is_shown() {
    assert_eq!(error(b""), "empty file");
    assert_eq!(error(b"not an image"), "not an image (starts with 6e 6f 74 20)");
    assert_eq!(error(&[0x89, 0x50]), "not an image (starts with 89 50)");
}

#[test]
fn truncated_files_are_errors_at_every_length() {
    for file in
        ["baseline-444.jpg", "baseline-420.jpg", "gray.jpg", "restart.jpg", "progressive-420.jpg", "rgb.bmp"]
    {
        let bytes = golden(file);
        for length in (0..bytes.len()).step_by(7) {
            assert!(Decoder::default().decode(&bytes[..length]).is_err(), "{file} cut to {length} bytes");
        }
    }
    let jpeg = golden("baseline-420.jpg");
    assert_eq!(error(&jpeg[..jpeg.len() / 2]), "truncated JPEG");
    assert_eq!(error(&jpeg[..30]), "truncated JPEG");
    // The last bytes of a PNG are a checksum and the end chunk, which no pixel needs.
    let png = golden("rgb.png");
    for length in (0..png.len() - 16).step_by(7) {
        assert!(Decoder::default().decode(&png[..length]).is_err(), "cut to {length} bytes");
    }
    assert_eq!(error(&png[..png.len() / 2]), "truncated PNG");
}

#[test]
fn zero_sizes_are_errors() {
    assert_eq!(error(&resized(golden("gray.jpg"), 0, 45)), "zero-size JPEG (0 x 45)");
    assert_eq!(error(&resized(golden("gray.jpg"), 61, 0)), "zero-size JPEG (61 x 0)");
}

#[test]
fn a_bomb_allocates_nothing() {
    let bomb = resized(golden("gray.jpg"), 65_535, 65_535);
    assert_eq!(
        error(&bomb),
        "JPEG too large (65535 x 65535 pixels, limit 178956970 in all)",
        "beyond the limit, the header is enough"
    );
    let mut decoder = Decoder::default();
    let small_bomb = resized(golden("gray.jpg"), 13_000, 13_000);
    assert_eq!(decoder.decode(&small_bomb).unwrap_err(), DecodeError::Truncated(ImageFormat::Jpeg));
    let mut png = golden("gray.png");
    png[16..24].copy_from_slice(&[0, 0, 0x30, 0, 0, 0, 0x30, 0]);
    assert_eq!(decoder.decode(&png).unwrap_err(), DecodeError::Truncated(ImageFormat::Png));
    assert_eq!(decoder.rgb.capacity(), 0);

    let mut strict = Decoder::new(DecodeLimits { max_pixels: 1000 });
    assert!(matches!(strict.decode(&golden("rgb.png")), Err(DecodeError::TooLarge { max_pixels: 1000, .. })));
}

#[test]
fn unsupported_jpegs_say_why() {
    let mut arithmetic = golden("gray.jpg");
    let frame = arithmetic.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    arithmetic[frame + 1] = 0xc9;
    assert_eq!(error(&arithmetic), "unsupported JPEG: arithmetic coding");
    arithmetic[frame + 1] = 0xc0;
    arithmetic[frame + 4] = 12;
    assert_eq!(error(&arithmetic), "unsupported JPEG: 12 bits a channel");
}

#[test]
fn stray_bytes_between_segments_are_skipped() {
    let clean = golden("gray.jpg");
    let (jfif, rest) = clean.split_at(20);
    let stray = [jfif, &[0, 1, 2, 3, 4, 5, 6], rest].concat();
    let expected = Decoder::default().decode(&clean).unwrap().pixels.to_vec();
    assert_eq!(Decoder::default().decode(&stray).unwrap().pixels, expected);
}

#[test]
fn damaged_files_never_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files");
    let mut decoder = Decoder::new(DecodeLimits { max_pixels: 1 << 20 });
    for (number, entry) in fs::read_dir(folder).unwrap().enumerate() {
        let file = fs::read(entry.unwrap().path()).unwrap();
        for trial in 0..60 {
            let mut rng = ViewRng::new(9, 0, number as u64, trial);
            let mut damaged = file.clone();
            for _ in 0..=rng.below(8) {
                let at = rng.below(file.len() as u32) as usize;
                damaged[at] = rng.below(256) as u8;
            }
            if let Ok(image) = decoder.decode(&damaged) {
                assert_eq!(image.pixels.len(), image.width * image.height * 3);
            }
        }
    }
}

#[test]
fn scratch_is_reused_and_results_are_not_mixed_up() {
    let mut decoder = Decoder::default();
    let (large, small) = (golden("baseline-444.jpg"), golden("one-pixel.jpg"));
    let first = decoder.decode(&large).unwrap().pixels.to_vec();
    let scratch = decoder.rgb.as_ptr();
    assert_eq!(decoder.decode(&small).unwrap().pixels.len(), 3);
    assert_eq!(decoder.decode(&large).unwrap().pixels, first);
    assert_eq!(decoder.rgb.as_ptr(), scratch);
}

/// A JPEG with more restart markers behind its image than it has bytes otherwise.
fn many_restart_markers() -> Vec<u8> {
    let mut jpeg = golden("gray.jpg");
    let end = jpeg.split_off(jpeg.len() - 2);
    assert_eq!(end, [0xff, 0xd9]);
    (0..1500u16).for_each(|number| jpeg.extend([0xff, 0xd0 | (number % 8) as u8]));
    jpeg.extend(end);
    jpeg
}

#[test]
fn large_scratch_is_kept_for_large_images_only() {
    let capacities = |decoder: &Decoder| {
        let [unstuffed, ends, ink] = decoder.jpeg.capacities();
        [decoder.rgb.capacity(), decoder.stored.capacity(), unstuffed, ends, ink]
    };
    let files = ["baseline-444.jpg", "cmyk-adobe.jpg", "progressive-420.jpg", "rgba.png", "rgb-16.png"];
    let large: Vec<_> = files.map(golden).into_iter().chain([many_restart_markers()]).collect();
    let small = golden("one-pixel.jpg");
    for (kept_bytes, kept) in [(1 << 20, true), (500, false)] {
        let mut decoder = Decoder { kept_bytes, ..Decoder::default() };
        large.iter().for_each(|file| assert!(decoder.decode(file).is_ok()));
        let grown = capacities(&decoder);
        assert!(grown.iter().all(|&bytes| bytes > 2000), "{grown:?}");
        let rgb = decoder.rgb.as_ptr();
        for file in &large {
            decoder.decode(file).unwrap();
            assert_eq!(capacities(&decoder), grown, "images of one size share their memory");
        }
        assert_eq!(decoder.rgb.as_ptr(), rgb);
        decoder.decode(&small).unwrap();
        let now = capacities(&decoder);
        assert!(
            now.iter().zip(&grown).all(|(now, grown)| (now == grown) == kept),
            "{now:?}, {kept_bytes} kept"
        );
    }
}
