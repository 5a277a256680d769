//! Parses a member's name: its key, and whether it is an image.

use std::cmp::Ordering;

use crate::decode::probe;

/// Key and extension: before and behind the first dot of the base name. WebDataset's rule; without both there is no sample.
pub(crate) fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = name[base..].iter().position(|&byte| byte == b'.')?;
    (dot > 0).then(|| (&name[..base + dot], &name[base + dot + 1..]))
}

/// The folders of a path, from the first to the one that the file lies in. `.` is none.
pub(crate) fn folders(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let folder = path.iter().rposition(|&byte| byte == b'/').map_or(&path[..0], |slash| &path[..slash]);
    folder.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".")
}

/// The order of a listing that goes through the folders by their names: `a/z` before `a-b/a`.
pub(crate) fn listing_order(one: &[u8], another: &[u8]) -> Ordering {
    let rank = |&byte: &u8| if byte == b'/' { 0 } else { byte };
    one.iter().map(rank).cmp(another.iter().map(rank))
}

/// The last part of a path.
pub(crate) fn base(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(path, |slash| &path[slash + 1..])
}

/// What stands before and behind the last dot of the base name; all of it and nothing, where there is none.
pub(crate) fn without_extension(name: &[u8]) -> (&[u8], &[u8]) {
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    match name[base..].iter().rposition(|&byte| byte == b'.') {
        Some(dot @ 1..) => (&name[..base + dot], &name[base + dot + 1..]),
        _ => (name, &[]),
    }
}

/// Whether an extension, or the last part of one such as `left.jpg`, is that of an image that can be read.
pub(crate) fn is_image(extension: &[u8]) -> bool {
    const IMAGES: [&[u8]; 18] = [
        b"jpg", b"jpeg", b"jpe", b"jfif", b"png", b"webp", b"gif", b"bmp", b"dib", b"tif", b"tiff", b"ppm",
        b"pgm", b"pbm", b"pnm", b"pam", b"pjpeg", b"img",
    ];
    is_one_of(last_part(extension), &IMAGES)
}

/// What an image is that cannot be read, by its extension: `AVIF`, or `gzip-compressed`.
pub(crate) fn unread_format(extension: &[u8]) -> Option<String> {
    const FORMATS: [&[u8]; 38] = [
        b"avif", b"heic", b"heif", b"jxl", b"jp2", b"j2k", b"j2c", b"jpx", b"psd", b"svg", b"ico", b"cur",
        b"tga", b"pcx", b"sgi", b"dds", b"icns", b"exr", b"hdr", b"qoi", b"pfm", b"xcf", b"djvu", b"emf",
        b"wmf", b"eps", b"blp", b"flif", b"dng", b"arw", b"cr2", b"cr3", b"nef", b"orf", b"rw2", b"raf",
        b"raw", b"jxr",
    ];
    const PACKED: [(&[u8], &str); 4] =
        [(b"gz", "gzip"), (b"zst", "Zstandard"), (b"bz2", "bzip2"), (b"xz", "xz")];
    let last = last_part(extension);
    if is_one_of(last, &FORMATS) {
        return Some(String::from_utf8_lossy(last).to_uppercase());
    }
    let inner = extension.strip_suffix(last)?.strip_suffix(b".")?;
    let (_, program) = PACKED.iter().find(|(packed, _)| packed.eq_ignore_ascii_case(last))?;
    is_image(inner).then(|| format!("{program}-compressed"))
}

/// Whether these bytes are an image that can be read, whatever their name.
pub(crate) fn holds_image(contents: &[u8]) -> bool {
    probe(contents).is_ok()
}

fn last_part(extension: &[u8]) -> &[u8] {
    extension.rsplit(|&byte| byte == b'.').next().unwrap_or(extension)
}

fn is_one_of(extension: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_the_first_dot_of_the_base_name() {
        let split = |name: &'static str| split(name.as_bytes());
        assert_eq!(split("n01.v2/img_1.left.JPG"), Some((&b"n01.v2/img_1"[..], &b"left.JPG"[..])));
        assert_eq!(split("./a.jpg"), Some((&b"./a"[..], &b"jpg"[..])));
        assert_eq!(split("dir/.hidden.jpg"), None);
        assert_eq!(split("README"), None);
    }

    #[test]
    fn images_by_extension() {
        for yes in ["jpg", "JPEG", "left.png", "a.b.Tiff", "ppm", "pgm", "PBM", "pnm", "jfif", "img"] {
            assert!(is_image(yes.as_bytes()), "{yes}");
        }
        for no in ["", "json", "jpg.txt", "cls", "jpgx", "avif", "jpg.gz"] {
            assert!(!is_image(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn images_that_cannot_be_read_are_named() {
        let unread = |extension: &str| unread_format(extension.as_bytes());
        assert_eq!(unread("avif").as_deref(), Some("AVIF"));
        assert_eq!(unread("left.HEIC").as_deref(), Some("HEIC"));
        assert_eq!(unread("jpg.gz").as_deref(), Some("gzip-compressed"));
        assert_eq!(["gz", "txt.gz", "jpg", "json"].map(unread), [None, None, None, None]);
    }
}
