//! Files made here, and the pixels that Pillow 13 gives for them.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::super::{DecodeError, DecodeLimits, Decoder, ImageFormat};
use crate::rng::ViewRng;

/// Size and pixels.
fn decoded(file: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut decoder = Decoder::default();
    let image = decoder.decode(file).unwrap();
    (image.width, image.height, image.pixels.to_vec())
}

fn pixels(file: &[u8]) -> Vec<u8> {
    decoded(file).2
}

fn error(file: &[u8]) -> String {
    Decoder::default().decode(file).unwrap_err().to_string()
}

fn grays(shades: &[u8]) -> Vec<u8> {
    shades.iter().flat_map(|&shade| [shade; 3]).collect()
}

#[test]
fn sixteen_bit_gray_png_is_the_same_with_a_transparent_value() {
    let values: Vec<u8> = [7u16, 300, 0x1234, 200].iter().flat_map(|value| value.to_ne_bytes()).collect();
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(&values, 4, 1, ExtendedColorType::L16).unwrap();
    let expected = grays(&[7, 255, 255, 200]);
    assert_eq!(pixels(&png), expected);
    let data = png.windows(4).position(|name| name == b"IDAT").unwrap() - 4;
    let chunk = b"tRNS\x00\x07";
    let transparent = [&[0, 0, 0, 2][..], chunk, &crc32fast::hash(chunk).to_be_bytes()].concat();
    png.splice(data..data, transparent);
    assert_eq!(pixels(&png), expected);
}

/// A little-endian TIFF of one strip.
fn tiff(width: u32, height: u32, bits: u32, samples: u32, tags: &[(u16, u32)], data: &[u8]) -> Vec<u8> {
    let mut entries = vec![(256, width), (257, height), (258, bits), (259, 1), (277, samples), (278, height)];
    entries.retain(|&(tag, _)| tags.iter().all(|&(other, _)| other != tag));
    entries.extend_from_slice(tags);
    entries.push((279, data.len() as u32));
    let end = 8 + 2 + 12 * (entries.len() as u32 + 1) + 4;
    // The bits of more than two samples do not fit into the entry.
    entries.push((273, end + 2 * samples));
    entries.sort_unstable();
    let mut file = [b"II*\0\x08\0\0\0".as_slice(), &(entries.len() as u16).to_le_bytes()].concat();
    for (tag, value) in entries {
        let (kind, count, value) = match tag {
            258 if samples > 2 => (3u16, samples, end),
            258 => (3, samples, value | value << 16),
            273 | 279 => (4, 1, value),
            _ => (3, 1, value),
        };
        let words = [count.to_le_bytes(), value.to_le_bytes()].concat();
        file.extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &words].concat());
    }
    file.extend([0; 4]);
    (0..samples).for_each(|_| file.extend((bits as u16).to_le_bytes()));
    file.extend(data);
    file
}

const RGB: (u16, u32) = (262, 2);
const ASSOCIATED: (u16, u32) = (338, 1);

#[test]
fn associated_alpha_is_divided_out() {
    let rgba = [100, 50, 0, 200, 90, 90, 90, 0, 200, 10, 20, 100, 1, 2, 3, 255];
    let expected = [127, 63, 0, 0, 0, 0, 255, 25, 51, 1, 2, 3];
    assert_eq!(pixels(&tiff(2, 2, 8, 4, &[RGB, ASSOCIATED], &rgba)), expected);
    let deep: Vec<u8> = rgba.iter().flat_map(|&high| [0x77, high]).collect();
    assert_eq!(pixels(&tiff(2, 2, 16, 4, &[RGB, ASSOCIATED], &deep)), expected);
    assert_eq!(pixels(&tiff(1, 1, 8, 4, &[RGB, (338, 2)], &rgba[..4])), rgba[..3]);
}

#[test]
fn a_tiffs_orientation_is_applied() {
    let shades = [1, 2, 3, 4, 5, 6];
    let expected: [[u8; 6]; 8] = [
        [1, 2, 3, 4, 5, 6],
        [3, 2, 1, 6, 5, 4],
        [6, 5, 4, 3, 2, 1],
        [4, 5, 6, 1, 2, 3],
        [1, 4, 2, 5, 3, 6],
        [4, 1, 5, 2, 6, 3],
        [6, 3, 5, 2, 4, 1],
        [3, 6, 2, 5, 1, 4],
    ];
    for (orientation, upright) in (1..).zip(expected) {
        let file = tiff(3, 2, 8, 1, &[(262, 1), (274, orientation)], &shades);
        let (width, height, pixels) = decoded(&file);
        assert_eq!((width, height), if orientation < 5 { (3, 2) } else { (2, 3) });
        assert_eq!(pixels, grays(&upright), "orientation {orientation}");
    }
}

#[test]
fn other_tiffs_are_pillows_too() {
    let white_is_zero = (262, 0);
    assert_eq!(
        pixels(&tiff(3, 2, 1, 1, &[white_is_zero], &[0b0110_0000, 0b1000_0000])),
        grays(&[255, 0, 0, 0, 255, 255])
    );
    assert_eq!(pixels(&tiff(3, 1, 4, 1, &[(262, 1)], &[0x1f, 0x80])), grays(&[17, 255, 136]));
    assert_eq!(pixels(&tiff(2, 1, 16, 1, &[white_is_zero], &[9, 0, 0, 1])), grays(&[9, 255]));
    assert_eq!(pixels(&tiff(1, 1, 8, 4, &[(262, 5)], &[200, 100, 0, 50])), [44, 125, 205]);
    for (tags, reason) in [
        (&[RGB, (266, 2)][..], "bits in reverse order"),
        (&[RGB, (259, 7)], "JPEG compression"),
        (&[RGB, (339, 3)], "signed or floating-point samples"),
        (&[(262, 8)], "L*a*b* of 3 x 8 bits"),
    ] {
        assert_eq!(error(&tiff(1, 1, 8, 3, tags, &[0; 3])), format!("unsupported TIFF: {reason}"));
    }
}

/// A GIF whose first frame is 2 x 1 at (1, 1), with the indices 1 and 2.
fn gif(screen: (u8, u8), transparent: Option<u8>) -> Vec<u8> {
    let header = [b"GIF89a".as_slice(), &[screen.0, 0, screen.1, 0, 0x81, 3, 0]].concat();
    let palette = [10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42];
    let control = transparent.map_or(vec![], |index| vec![0x21, 0xf9, 4, 1, 0, 0, index, 0]);
    // Clear, 1, 2, end: codes of 3 bits.
    let frame = [0x2c, 1, 0, 1, 0, 2, 0, 1, 0, 0, 2, 2, 0b1000_1100, 0b0000_1010, 0, 0x3b];
    [header, palette.to_vec(), control, frame.to_vec()].concat()
}

#[test]
fn what_a_gifs_frame_leaves_free_is_transparent_or_the_first_color() {
    let [first, one, two, third] = [[10, 11, 12], [20, 21, 22], [30, 31, 32], [40, 41, 42]];
    assert_eq!(pixels(&gif((3, 2), None)), [first, first, first, first, one, two].concat());
    assert_eq!(pixels(&gif((3, 2), Some(3))), [third, third, third, third, one, two].concat());
    let grown = decoded(&gif((1, 1), None));
    assert_eq!(grown, (3, 2, [first, first, first, first, one, two].concat()), "the screen grows");
}

/// A BMP with a header of 40 bytes.
fn bmp(width: i32, height: i32, bits: u16, compression: u32, palette: &[[u8; 4]], data: &[u8]) -> Vec<u8> {
    let offset = 54 + 4 * palette.len() as u32;
    let mut file = [b"BM\0\0\0\0\0\0\0\0".as_slice(), &offset.to_le_bytes(), &40u32.to_le_bytes()].concat();
    file.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    file.extend([1u16.to_le_bytes(), bits.to_le_bytes()].concat());
    let colors = palette.len() as u32;
    [compression, data.len() as u32, 0, 0, colors, 0].iter().for_each(|word| file.extend(word.to_le_bytes()));
    [file, palette.concat(), data.to_vec()].concat()
}

#[test]
fn sixteen_bit_bmps_are_rounded_down() {
    let white_and = |value: u16| [0xff, 0x7f, value as u8, (value >> 8) as u8];
    let rows = bmp(2, 1, 16, 0, &[], &white_and(1 << 10 | 11 << 5 | 30));
    assert_eq!(pixels(&rows), [255, 255, 255, 8, 90, 246]);
    let masks = [0xf800u32, 0x7e0, 0x1f].map(u32::to_le_bytes).concat();
    let mut masked = bmp(1, 1, 16, 3, &[], &[masks, vec![0x21, 0x08, 0, 0]].concat());
    masked[10] += 12;
    assert_eq!(pixels(&masked), [8, 4, 8]);
}

#[test]
fn runs_of_a_bmp_step_over_the_first_color() {
    let palette = [[1, 2, 3, 0], [4, 5, 6, 0], [7, 8, 9, 0]];
    let [first, one, two] = [[3, 2, 1], [6, 5, 4], [9, 8, 7]];
    // The lower row: two of 1, then the end of the line; the upper one: a step of one to the right, literal 2, 1 and 2.
    let runs = [2, 1, 0, 0, 0, 2, 1, 0, 0, 3, 2, 1, 2, 0, 0, 1];
    let expected = [first, two, one, two, one, one, first, first].concat();
    assert_eq!(pixels(&bmp(4, 2, 8, 1, &palette, &runs)), expected);
    let fours = [2, 0x11, 0, 0, 0, 2, 1, 0, 0, 3, 0x21, 0x20, 0, 1];
    assert_eq!(pixels(&bmp(4, 2, 4, 2, &palette, &fours)), expected);
    assert_eq!(error(&bmp(4, 2, 8, 1, &palette, &[4, 1, 0, 1])), "truncated BMP");
    assert_eq!(error(&bmp(30_000, 5_000, 8, 1, &palette, &[4, 1, 0, 1])), "truncated BMP");
}

#[test]
fn bmps_from_top_to_bottom_and_beyond_their_palette() {
    let palette = [[0, 0, 200, 0], [0, 100, 0, 0]];
    let rows = [0, 1, 0, 0, 1, 77, 0, 0];
    assert_eq!(pixels(&bmp(2, -2, 8, 0, &palette, &rows)), [200, 0, 0, 0, 100, 0, 0, 100, 0, 0, 0, 0]);
    assert_eq!(error(&bmp(2, 2, 2, 0, &palette, &rows)), "unsupported BMP: 2 bits a pixel (compression 0)");
    assert_eq!(error(&bmp(2, 2, 24, 4, &[], &rows)), "unsupported BMP: compression 4");
}

#[test]
fn pnms_are_scaled_as_python_rounds() {
    for (file, shades) in [
        (&b"P2 3 1 # width, height\n200 #greatest\n0 1\t199\n"[..], &[0, 1, 254][..]),
        (b"P5 3 1 100\n\x00\x0a\x64", &[0, 26, 255]),
        (b"P5 2 1 1000\n\x00\x01\x03\xe8", &[66, 255]),
        (b"P1\n3 2\n10 1\n001", &[0, 255, 0, 255, 255, 0]),
        (b"P4\n3 2\n\xa0\x20", &[0, 255, 0, 255, 255, 0]),
        (
            b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x05\0\x06\0",
            &[5, 6],
        ),
    ] {
        assert_eq!(pixels(file), grays(shades), "{}", file.escape_ascii());
    }
    assert_eq!(pixels(b"P6 1 1 65535\n\xff\xff\x00\x80\x01\x01"), [255, 0, 1]);
    assert_eq!(pixels(b"P6 1 1 257\n\x00\x01\x00\x02\x01\x01"), [1, 2, 255]);
    for (file, expected) in [
        (&b"P5 3 2 255\n\x01\x02\x03\x04\x05"[..], "truncated PNM"),
        (b"P2 2 1 9\n10 0\n", "malformed PNM: a sample of 10, more than 9"),
        (b"P2 2 1 9\n-1 0\n", "malformed PNM: -1 where a number belongs"),
        (b"P5 1 1 65536\n\0\0", "malformed PNM: greatest value 65536, which must be 1 to 65535"),
        (b"P5 70000 70000 255\n\0\0", "PNM too large (70000 x 70000 pixels, limit 178956970 in all)"),
        (b"P5 10000 10000 255\n\0\0", "truncated PNM"),
    ] {
        assert_eq!(error(file), expected, "{}", file.escape_ascii());
    }
}

#[test]
fn damage_never_panics() {
    let palette = [[1, 2, 3, 0], [4, 5, 6, 0], [7, 8, 9, 0]];
    let files = [
        gif((3, 2), Some(3)),
        bmp(4, 2, 8, 1, &palette, &[2, 1, 0, 0, 0, 2, 1, 0, 0, 3, 2, 1, 2, 0, 0, 1]),
        bmp(4, 2, 4, 2, &palette, &[2, 0x11, 0, 0, 0, 2, 1, 0, 0, 3, 0x21, 0x20, 0, 1]),
        bmp(2, -2, 4, 0, &palette, &[0; 8]),
        bmp(1, 1, 16, 3, &[], &[0xf8; 16]),
        b"P2 3 1 # width, height\n200 #greatest\n0 1\t199\n".to_vec(),
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 700\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x05\0\x06\0\0\0\0\0"
            .to_vec(),
        b"P4\n3 2\n\xa0\x20".to_vec(),
    ];
    let mut decoder = Decoder::new(DecodeLimits { max_pixels: 1 << 20 });
    for (number, file) in (0..).zip(&files) {
        assert!(decoder.decode(file).is_ok(), "file {number}");
        for trial in 0..400 {
            let mut rng = ViewRng::new(9, 0, number, trial);
            let mut damaged = file.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.below(file.len() as u32) as usize;
                damaged[at] = rng.below(256) as u8;
            }
            damaged.truncate(rng.below(2 * file.len() as u32) as usize);
            if let Ok(image) = decoder.decode(&damaged) {
                assert_eq!(image.pixels.len(), image.width * image.height * 3);
            }
        }
    }
}

/// A RIFF chunk.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let padding = vec![0; data.len() % 2];
    [name, &(data.len() as u32).to_le_bytes()[..], data, &padding].concat()
}

#[test]
fn a_file_that_makes_a_decoder_panic_is_malformed() {
    // 16 x 16 pixels of one colour.
    let key_frame = [
        0x90, 0x01, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x10, 0x00, 0x02, 0xc0, 0x4c, 0x25, 0x98, 0x02, 0x74,
        0xba, 0x00, 0x03, 0x98, 0x00, 0xfe, 0xee, 0xa6, 0x3f, 0x5d, 0xe2, 0xd3, 0x14, 0x3e, 0x28, 0x05, 0x23,
        0x80, 0xf0, 0x00, 0x00,
    ];
    // A frame of 1 x 1 pixels, with alpha for as many: image-webp 0.2.4 looks for that of the others.
    let frame = [vec![0; 16], chunk(b"ALPH", &[0, 255]), chunk(b"VP8 ", &key_frame)].concat();
    let header = [0b1_0010, 0, 0, 0, 15, 0, 0, 15, 0, 0];
    let chunks = [chunk(b"VP8X", &header), chunk(b"ANIM", &[0; 6]), chunk(b"ANMF", &frame)].concat();
    let file = chunk(b"RIFF", &[b"WEBP", &chunks[..]].concat());
    let found = Decoder::default().decode(&file).unwrap_err();
    let DecodeError::Malformed { format: ImageFormat::WebP, reason } = &found else { panic!("{found}") };
    assert!(reason.starts_with("the decoder panicked: "), "{reason}");
}

#[test]
fn a_small_png_allocates_nothing_for_a_large_header() {
    let header =
        [b"IHDR", &13_000u32.to_be_bytes()[..], &13_000u32.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    let junk = [b"IDAT", &[7; 20_000][..]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for chunk in [header, junk] {
        let crc = crc32fast::hash(&chunk).to_be_bytes();
        file.extend([&(chunk.len() as u32 - 4).to_be_bytes()[..], &chunk, &crc].concat());
    }
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&file).unwrap_err(), DecodeError::Truncated(ImageFormat::Png));
    assert_eq!((decoder.stored.capacity(), decoder.rgb.capacity()), (0, 0));
}
