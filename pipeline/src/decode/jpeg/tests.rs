//! Parts against the whole, instruction sets against each other, and damage of every kind.

use std::fs;
use std::path::Path;

use crate::decode::{DecodeLimits, Decoder, probe};
use crate::image::{Region, Scale, Wanted};
use crate::instructions::Instructions;
use crate::rng::ViewRng;

const SCALES: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

/// Files that the project's own decoder reads: each sampling, gray, RGB, restart markers, a few odd sizes, and one of many
/// MCUs, so that parts begin far inside and vector loops take several steps.
const OWN: [&str; 11] = [
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
];

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
    for (number, file) in OWN.into_iter().enumerate() {
        let bytes = golden(file);
        let info = probe(&bytes).unwrap();
        for scale in SCALES {
            let whole = whole_decoder.decode_part(&bytes, &Wanted { scale, ..Wanted::WHOLE }).unwrap();
            for trial in 0..100 {
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
fn other_decoders_give_the_part_at_full_scale() {
    let region = Region { left: 7, top: 20, width: 30, height: 11 };
    for file in ["progressive-420.jpg", "cmyk-adobe.jpg", "rgb.png"] {
        let (bytes, mut decoder) = (golden(file), Decoder::default());
        let whole = scalar().decode(&bytes).unwrap().pixels.to_vec();
        let part = decoder.decode_part(&bytes, &Wanted { region, scale: Scale::Half }).unwrap();
        assert_eq!((part.scale, part.left, part.top), (Scale::Full, 7, 20), "{file}");
        for (y, row) in part.rows().enumerate() {
            assert_eq!(row, &whole[3 * ((20 + y) * 61 + 7)..][..3 * 30], "{file}");
        }
    }
}

#[test]
fn damage_gives_the_same_on_every_instruction_set_and_never_panics() {
    let (mut detected, mut scalar) = (Decoder::default(), scalar());
    for (number, file) in OWN.into_iter().enumerate() {
        let bytes = golden(file);
        let (width, height) = if file == "wide-420-restart.jpg" { (350, 210) } else { (61, 45) };
        for trial in 0..500 {
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
            let wanted =
                Wanted { region: region(&mut rng, width, height), scale: SCALES[trial as usize % 4] };
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
