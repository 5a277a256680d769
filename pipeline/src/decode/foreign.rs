//! Recognises unsupported files by their first bytes and names their types, for error messages.

use super::DecodeError;

/// What the file is, where its first bytes leave no doubt.
pub(super) fn recognise(bytes: &[u8]) -> Option<DecodeError> {
    let begins = |&(magic, _): &(&[u8], &str)| bytes.starts_with(magic);
    if let Some(brand) = iso_media(bytes).or_else(|| icon(bytes)) {
        return Some(brand);
    }
    if let Some(&(_, name)) = IMAGES.iter().find(|entry| begins(entry)) {
        return Some(DecodeError::OtherImage(name));
    }
    if let Some(&(_, name)) = OTHERS.iter().find(|entry| begins(entry)) {
        return Some(DecodeError::OtherFile(name));
    }
    riff(bytes).or_else(|| markup(bytes))
}

const IMAGES: [(&[u8], &str); 17] = [
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"icns", "ICNS"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"Pf\n", "PFM"),
    (b"PF\n", "PFM"),
];

const OTHERS: [(&[u8], &str); 15] = [
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ\0", "xz-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer (`git lfs pull` fetches the file)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"{\"", "JSON"),
];

/// HEIF images and MP4 videos begin with a box that lists brands.
fn iso_media(bytes: &[u8]) -> Option<DecodeError> {
    let (length, rest) = bytes.split_first_chunk()?;
    let brands = rest.strip_prefix(b"ftyp")?;
    let listed = usize::try_from(u32::from_be_bytes(*length)).ok()?.saturating_sub(8).min(brands.len());
    // The second word is a version.
    let mut names = brands[..listed].as_chunks().0.iter().enumerate().filter(|&(at, _)| at != 1);
    let image = names.find_map(|(_, brand)| match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" => Some("HEIC"),
        b"jxl " => Some("JPEG XL"),
        b"jp2 " | b"jpx " => Some("JPEG 2000"),
        b"crx " => Some("Canon raw (CR3)"),
        _ => None,
    });
    let is_heif = matches!(brands.first_chunk(), Some(b"mif1" | b"msf1" | b"mif2"));
    Some(match image.or(is_heif.then_some("HEIF")) {
        Some(image) => DecodeError::OtherImage(image),
        None => DecodeError::OtherFile("an MP4 or QuickTime video"),
    })
}

/// Icons and cursors have a kind, a number of pictures and for each a byte that is 0. A TGA may begin with the same kind.
fn icon(bytes: &[u8]) -> Option<DecodeError> {
    match bytes.first_chunk()? {
        [0, 0, kind @ 1..=2, 0, 1..=255, 0, _, _, _, 0] => {
            Some(DecodeError::OtherImage(if *kind == 1 { "ICO" } else { "CUR" }))
        }
        _ => None,
    }
}

fn riff(bytes: &[u8]) -> Option<DecodeError> {
    let kind = bytes.strip_prefix(b"RIFF")?.get(4..8)?;
    match kind {
        b"AVI " => Some(DecodeError::OtherFile("an AVI video")),
        b"WAVE" => Some(DecodeError::OtherFile("a WAVE sound")),
        _ => None,
    }
}

/// SVG, HTML and other XML: text that begins with a tag.
fn markup(bytes: &[u8]) -> Option<DecodeError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let head = text[..text.len().min(1024)].to_ascii_lowercase();
    let names = |tag: &[u8]| head.windows(tag.len()).any(|window| window == tag);
    if head.starts_with(b"<svg") || head.starts_with(b"<?xml") && names(b"<svg") {
        Some(DecodeError::OtherImage("SVG"))
    } else if head.starts_with(b"<!doctype html") || head.starts_with(b"<html") {
        Some(DecodeError::OtherFile("an HTML page"))
    } else if head.starts_with(b"<?xml") {
        Some(DecodeError::OtherFile("an XML document"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeError, Decoder};

    fn error(bytes: &[u8]) -> String {
        Decoder::default().decode(bytes).unwrap_err().to_string()
    }

    fn media(brands: &[&[u8]]) -> Vec<u8> {
        let length = 8 + 4 * brands.len() as u32;
        [&length.to_be_bytes()[..], b"ftyp", &brands.concat(), b"\0\0\0\x08mdat"].concat()
    }

    #[test]
    fn images_of_other_formats_are_named() {
        let not_read = |name: &str| format!("{name}, which is not supported; convert it to JPEG or PNG");
        for (bytes, name) in [
            (media(&[b"avif", b"\0\0\0\0", b"mif1"]), "AVIF"),
            (media(&[b"mif1", b"\0\0\0\0", b"miaf", b"avif"]), "AVIF"),
            (media(&[b"heic", b"\0\0\0\0"]), "HEIC"),
            (media(&[b"mif1", b"\0\0\0\0", b"heic"]), "HEIC"),
            (media(&[b"mif1", b"\0\0\0\0"]), "HEIF"),
            (media(&[b"jxl ", b"\0\0\0\0"]), "JPEG XL"),
            (b"\xff\x0a\xfa\x1f\x41".to_vec(), "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ".to_vec(), "JPEG XL"),
            (b"\xff\x4f\xff\x51\0\x2f".to_vec(), "JPEG 2000"),
            (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ".to_vec(), "JPEG 2000"),
            (b"8BPS\0\x01".to_vec(), "Photoshop (PSD)"),
            (b"\xef\xbb\xbf\n<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "SVG"),
            (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>".to_vec(), "SVG"),
            (b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec(), "ICO"),
        ] {
            assert_eq!(error(&bytes), not_read(name), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn files_that_are_no_images_are_named() {
        for (bytes, name) in [
            (media(&[b"isom", b"\0\0\0\0", b"mp41"]), "an MP4 or QuickTime video"),
            (b" <!DOCTYPE html><title>404</title>".to_vec(), "an HTML page"),
            (b"%PDF-1.7".to_vec(), "a PDF document"),
            (b"\x1f\x8b\x08\0".to_vec(), "gzip-compressed data"),
            (b"PK\x03\x04".to_vec(), "a zip archive"),
            (b"RIFF\0\0\0\0AVI ".to_vec(), "an AVI video"),
        ] {
            assert_eq!(error(&bytes), format!("{name}, not an image"), "{}", bytes.escape_ascii());
        }
        assert!(matches!(Decoder::default().decode(b"<p>"), Err(DecodeError::NotAnImage(_))));
    }
}
