//! Parts against the whole, instruction sets against each other, and damage of every kind.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::decode::{DecodeLimits, Decoder, ImageInfo, probe};
use crate::image::{Region, Scale, Wanted};
use crate::instructions::Instructions;
use crate::rng::ViewRng;

const SCALES: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

/// Each sampling, gray, RGB, restart markers, a few odd sizes, and one of many MCUs, so that parts begin far inside and vector
/// loops take several steps; progressive files and inks; then `odd-jpegs.tar`: all kinds of samplings and scans.
fn files() -> Vec<(String, Vec<u8>)> {
    let names = [
        "baseline-444.jpg",
        "baseline-422.jpg",
        "baseline-420.jpg",
        "sampling-440.jpg",
        "cifar.jpg",
        "gray.jpg",
        "one-column-420.jpg",
        "one-pixel.jpg",
        "restart.jpg",
        "rgb-ids.jpg",
        "wide-420-restart.jpg",
        "progressive-444.jpg",
        "progressive-420.jpg",
        "gray-progressive.jpg",
        "cmyk-progressive.jpg",
        "ycck-adobe.jpg",
    ];
    let mut files: Vec<_> = names.into_iter().map(|name| (name.to_owned(), golden(name))).collect();
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/odd-jpegs.tar");
    let mut archive = tar::Archive::new(fs::File::open(odd).unwrap());
    files.extend(archive.entries().unwrap().map(|entry| {
        let (mut entry, mut bytes) = (entry.unwrap(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
    }));
    files
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files").join(name)).unwrap()
}

fn scalar() -> Decoder {
    Decoder::with_instructions(DecodeLimits::default(), Instructions::Plain)
}

fn region(rng: &mut ViewRng, width: usize, height: usize) -> Region {
    let (left, top) = (rng.below(width as u32) as usize, rng.below(height as u32) as usize);
    let mut side = |most: usize| 1 + rng.below(most as u32) as usize;
    Region { left, top, width: side(width - left), height: side(height - top) }
}

#[test]
fn a_part_is_what_the_whole_has_there() {
    let (mut decoder, mut whole_decoder) = (Decoder::default(), scalar());
    for (number, (file, bytes)) in files().into_iter().enumerate() {
        let info = probe(&bytes).unwrap();
        for scale in SCALES {
            let whole = whole_decoder.decode_part(&bytes, &Wanted { scale, ..Wanted::WHOLE }).unwrap();
            for trial in 0..40 {
                let mut rng = ViewRng::new(4, 0, number as u64, trial);
                let region = region(&mut rng, info.width as usize, info.height as usize);
                let part = decoder.decode_part(&bytes, &Wanted { region, scale }).unwrap();
                assert_eq!(part.scale, scale, "{file}");
                assert!(part.left * scale.denominator() <= region.left);
                for (y, row) in part.pixels.chunks(3 * part.width).enumerate() {
                    let expected =
                        &whole.pixels[3 * ((part.top + y) * whole.width + part.left)..][..row.len()];
                    assert_eq!(row, expected, "{file} {region:?} {scale:?} row {y}");
                }
            }
        }
    }
}

#[test]
fn a_part_beyond_the_image_is_cut_off() {
    let bytes = golden("cifar.jpg");
    let mut decoder = Decoder::default();
    for (region, size) in [
        (Region { left: 30, top: 31, width: 9, height: usize::MAX }, (2, 1)),
        (Region { left: 32, top: 0, width: 1, height: 1 }, (0, 0)),
        (Region { left: usize::MAX, top: usize::MAX, width: usize::MAX, height: 2 }, (0, 0)),
    ] {
        let part = decoder.decode_part(&bytes, &Wanted { region, scale: Scale::Full }).unwrap();
        assert_eq!((part.width, part.height), size, "{region:?}");
    }
}

#[test]
fn damage_gives_the_same_on_every_instruction_set_and_never_panics() {
    let (mut detected, mut scalar) = (Decoder::default(), scalar());
    for (number, (file, bytes)) in files().into_iter().enumerate() {
        let ImageInfo { width, height, .. } = probe(&bytes).unwrap();
        for trial in 0..150 {
            let mut rng = ViewRng::new(5, 0, number as u64, trial);
            let mut damaged = bytes.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len() as u32) as usize;
                damaged[at] =
                    if trial % 2 == 0 { damaged[at] ^ 1 << rng.below(8) } else { rng.below(256) as u8 };
            }
            if trial % 5 == 0 {
                damaged.truncate(rng.below(bytes.len() as u32) as usize);
                damaged.extend([0xff, 0xd9]);
            }
            let wanted = Wanted {
                region: region(&mut rng, width as usize, height as usize),
                scale: SCALES[trial as usize % 4],
            };
            for wanted in [wanted, Wanted { region: Region::EVERYTHING, ..wanted }] {
                // Damaged sizes can be large, which is slow and shows nothing.
                if probe(&damaged).is_ok_and(|info| info.pixels() > 1 << 18) {
                    continue;
                }
                let found = detected.decode_part(&damaged, &wanted).map(|part| part.pixels.to_vec());
                let expected = scalar.decode_part(&damaged, &wanted).map(|part| part.pixels.to_vec());
                assert_eq!(found, expected, "{file}, trial {trial}");
            }
        }
    }
}

#[test]
fn damaged_entropy_data_says_how() {
    let error = |bytes: &[u8]| Decoder::default().decode(bytes).unwrap_err().to_string();
    let bytes = golden("restart.jpg");
    let restarts: Vec<usize> =
        bytes.windows(2).enumerate().filter(|(_, pair)| pair == b"\xff\xd1").map(|(at, _)| at).collect();
    let mut missing = bytes.clone();
    missing.drain(restarts[0]..restarts[0] + 2);
    assert_eq!(error(&missing), "malformed JPEG: a restart marker is missing or out of sequence");

    let bytes = golden("baseline-420.jpg");
    let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap() + 14;
    let short = [&bytes[..scan + 40], &[0xff, 0xd9]].concat();
    assert_eq!(error(&short), "malformed JPEG: the entropy-coded data ends before its blocks do");
    let mut ones = bytes.clone();
    for pair in ones[scan + 10..scan + 30].chunks_mut(2) {
        pair.copy_from_slice(&[0xff, 0]);
    }
    assert_eq!(error(&ones), "malformed JPEG: a code that is not in its Huffman table");
}

#[test]
fn what_libjpeg_lets_pass_passes() {
    let bytes = golden("baseline-420.jpg");
    let plain = scalar().decode(&bytes).unwrap().pixels.to_vec();
    let decoded = |bytes: &[u8]| scalar().decode(bytes).unwrap().pixels.to_vec();
    let comment = [&bytes[..2], &[0xff, 0xfe, 0, 0], &bytes[2..]].concat();
    assert_eq!(decoded(&comment), plain, "a comment of length 0");
    let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let mut no_band = bytes.clone();
    no_band[scan + 12] = 0;
    assert_eq!(decoded(&no_band), plain, "a sequential scan of coefficients 0 to 0");
    let end = bytes.len() - 2;
    let more = [&bytes[..end], &[0; 50], &bytes[end..]].concat();
    assert_eq!(decoded(&more), plain, "data behind the last block");
    let behind = [&bytes[..end], &[0xff, 0xfe, 0, 4, 1, 2], &bytes[end..]].concat();
    assert_eq!(decoded(&behind), plain, "a comment behind the scan");
}

#[test]
fn files_without_huffman_tables_have_those_of_motion_jpeg() {
    let bytes = golden("baseline-420.jpg");
    let mut tables = Vec::new();
    let mut without = bytes.clone();
    while let Some(at) = without.windows(2).position(|pair| pair == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([without[at + 2], without[at + 3]]));
        tables.extend(without.drain(at..at + 2 + length));
    }
    assert!(tables.len() > 400, "the file has the standard tables");
    assert_eq!(scalar().decode(&without).unwrap().pixels, scalar().decode(&bytes).unwrap().pixels);
}

#[test]
fn colours_are_guessed_as_libjpeg_guesses_them() {
    use super::header::{Coding, Reader};
    let coding = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes).unwrap();
        let (frame, _) = reader.next_scan(&mut super::Tables::default()).unwrap().unwrap();
        reader.coding(&frame)
    };
    let jfif: &[u8] = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
    let adobe = |transform| [b"\xff\xee\0\x0eAdobe\0d\0\0\0\0", &[transform][..]].concat();
    // Three components without a marker, and four.
    let with = |bytes: &[u8], markers: &[&[u8]]| {
        let plain = without_markers(bytes);
        [&plain[..2], &markers.concat(), &plain[2..]].concat()
    };
    let (three, ink) = (golden("baseline-444.jpg"), golden("cmyk-adobe.jpg"));
    let adobe: [Vec<u8>; 4] = [0, 1, 2, 3].map(adobe);
    let adobe = adobe.each_ref().map(Vec::as_slice);
    for (markers, expected, of_inks) in [
        (&[][..], Coding::YCbCr, Coding::Cmyk),
        (&[adobe[0]], Coding::Rgb, Coding::Cmyk),
        (&[adobe[1]], Coding::YCbCr, Coding::Ycck),
        (&[adobe[2]], Coding::YCbCr, Coding::Ycck),
        (&[adobe[3]], Coding::YCbCr, Coding::Ycck),
        (&[jfif, adobe[0]], Coding::YCbCr, Coding::Cmyk),
        (&[adobe[1], adobe[0]], Coding::Rgb, Coding::Cmyk),
    ] {
        assert_eq!(coding(&with(&three, markers)), expected, "{markers:?}");
        assert_eq!(coding(&with(&ink, markers)), of_inks, "{markers:?}");
    }
    assert_eq!(coding(&golden("rgb-ids.jpg")), Coding::Rgb);
}

/// The file without its JFIF and Adobe markers.
fn without_markers(bytes: &[u8]) -> Vec<u8> {
    let mut plain = bytes.to_vec();
    let mut at = 2;
    while plain[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([plain[at + 2], plain[at + 3]]));
        match plain[at + 1] {
            0xe0 | 0xee => drop(plain.drain(at..end)),
            _ => at = end,
        }
    }
    plain
}

#[test]
fn scans_without_end_are_refused() {
    let bytes = golden("progressive-444.jpg");
    let first = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let rest = &bytes[first + 2..];
    let length = 2 + rest.windows(2).position(|pair| matches!(pair, [0xff, 0xc4 | 0xda])).unwrap();
    let (head, scan, rest) = (&bytes[..first], &bytes[first..first + length], &bytes[first + length..]);
    let many = [head, &scan.repeat(super::MOST_SCANS + 1), rest].concat();
    assert_eq!(
        Decoder::default().decode(&many).unwrap_err().to_string(),
        "malformed JPEG: more than 500 scans"
    );
}

#[test]
fn a_second_decoder_is_asked_where_it_is_known_to_be_right() {
    let opinion = |bytes: &[u8]| {
        let mut decoder = Decoder::default();
        super::differing_share(bytes, decoder.decode(bytes).unwrap()).unwrap()
    };
    for file in
        ["baseline-444.jpg", "baseline-422.jpg", "baseline-420.jpg", "progressive-420.jpg", "gray.jpg"]
    {
        assert!(opinion(&golden(file)).is_some_and(|share| share < 0.01), "{file}");
    }
    for file in ["sampling-440.jpg", "one-column-420.jpg", "rgb-ids.jpg", "cmyk-adobe.jpg"] {
        assert_eq!(opinion(&golden(file)), None, "{file}");
    }
    // Pixels of another image.
    let (bytes, mut decoder) = (golden("baseline-444.jpg"), Decoder::default());
    let other = decoder.decode(&bytes).unwrap();
    let inverted: Vec<u8> = other.pixels.iter().map(|&value| !value).collect();
    let other = crate::image::RgbImage { pixels: &inverted, ..other };
    assert!(super::differing_share(&bytes, other).unwrap().is_some_and(|share| share > 0.5));
}
