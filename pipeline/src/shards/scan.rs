//! Groups the members of a tar to samples.

use std::collections::BTreeSet;

use super::index::{IndexBuilder, IndexFull, Record};
use super::label;
use super::tar::{Member, Members, TarError, TarErrorKind};

/// What one pass over an archive found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) index: IndexBuilder,
    /// Regular files of any kind.
    pub(super) members: u64,
    /// `.cls` members that are no decimal number.
    pub(super) bad_labels: u64,
    /// Whether something lies behind the end of the archive.
    pub(super) data_follows: bool,
}

/// Reads the whole archive, checksums every image, and lists the samples. `reached` is told each member's place.
pub(super) fn scan(archive: &[u8], mut reached: impl FnMut(usize)) -> Result<Scan, TarError> {
    let mut scan = Scan { index: IndexBuilder::default(), members: 0, bad_labels: 0, data_follows: false };
    let mut members = Members::new(archive);
    let mut group: Option<Group<'_>> = None;
    for member in &mut members {
        let member = member?;
        reached(member.offset);
        scan.members += 1;
        let Some((key, extension)) = split_name(&member.name) else { continue };
        if !group.as_ref().is_some_and(|group| group.takes(key, extension)) {
            scan.close(group.take())?;
        }
        group.get_or_insert_with(|| Group::new(key)).push(extension, &member, &mut scan.bad_labels);
    }
    scan.close(group)?;
    scan.data_follows = members.data_follows();
    Ok(scan)
}

impl Scan {
    fn close(&mut self, group: Option<Group<'_>>) -> Result<(), TarError> {
        let Some(Group { key, label, json_label, image: Some(image), .. }) = group else { return Ok(()) };
        let label = label.unwrap_or(json_label);
        let offset = image.offset as u64;
        let unsupported = |found: &str| TarError {
            offset: image.offset,
            kind: TarErrorKind::Unsupported,
            found: found.into(),
        };
        let length =
            u32::try_from(image.contents.len()).map_err(|_| unsupported("an image of 4 GiB or more"))?;
        let record = Record { offset, length, crc32: crc32fast::hash(image.contents), label };
        let pushed = self.index.push(record, &String::from_utf8_lossy(&key));
        pushed.map_err(|IndexFull| unsupported("more than 4 GiB of keys"))
    }
}

/// Consecutive members with the same key.
#[derive(Debug)]
struct Group<'a> {
    key: Vec<u8>,
    /// A set, because nothing bounds how many members a key has.
    extensions: BTreeSet<Vec<u8>>,
    /// What the `.cls` member says, if there is one.
    label: Option<Option<u32>>,
    json_label: Option<u32>,
    image: Option<Image<'a>>,
}

#[derive(Debug)]
struct Image<'a> {
    offset: usize,
    contents: &'a [u8],
    /// `left.jpg` rather than `jpg`.
    is_qualified: bool,
}

impl<'a> Group<'a> {
    fn new(key: &[u8]) -> Group<'a> {
        Group { key: key.to_owned(), extensions: BTreeSet::new(), label: None, json_label: None, image: None }
    }

    /// Whether a member belongs to this sample rather than to one of the same key that follows it.
    fn takes(&self, key: &[u8], extension: &[u8]) -> bool {
        self.key == key && !self.extensions.contains(extension)
    }

    fn push(&mut self, extension: &[u8], member: &Member<'a>, bad_labels: &mut u64) {
        self.extensions.insert(extension.to_owned());
        if extension.eq_ignore_ascii_case(b"cls") {
            let label = label::in_cls(member.contents);
            *bad_labels += u64::from(label.is_none());
            self.label = Some(label);
        } else if extension.eq_ignore_ascii_case(b"json") {
            self.json_label = label::in_json(member.contents);
        }
        let is_qualified = extension.contains(&b'.');
        let is_better = self.image.as_ref().is_none_or(|image| image.is_qualified && !is_qualified);
        if is_image(extension) && is_better {
            self.image = Some(Image { offset: member.offset, contents: member.contents, is_qualified });
        }
    }
}

/// Key and extension: before and behind the first dot of the base name. WebDataset's rule; without both there is no sample.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = name[base..].iter().position(|&byte| byte == b'.')?;
    (dot > 0).then(|| (&name[..base + dot], &name[base + dot + 1..]))
}

/// Whether an extension, or the last part of one such as `left.jpg`, is that of an image.
pub(crate) fn is_image(extension: &[u8]) -> bool {
    const IMAGES: [&[u8]; 12] =
        [b"jpg", b"jpeg", b"png", b"webp", b"gif", b"bmp", b"tif", b"tiff", b"ppm", b"pgm", b"pbm", b"pnm"];
    let last = extension.rsplit(|&byte| byte == b'.').next().unwrap_or(extension);
    IMAGES.iter().any(|image| image.eq_ignore_ascii_case(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_the_first_dot_of_the_base_name() {
        let split = |name: &'static str| split_name(name.as_bytes());
        assert_eq!(split("n01.v2/img_1.left.JPG"), Some((&b"n01.v2/img_1"[..], &b"left.JPG"[..])));
        assert_eq!(split("./a.jpg"), Some((&b"./a"[..], &b"jpg"[..])));
        assert_eq!(split("dir/.hidden.jpg"), None);
        assert_eq!(split("README"), None);
    }

    #[test]
    fn images_by_extension() {
        for yes in ["jpg", "JPEG", "left.png", "a.b.Tiff", "ppm", "pgm", "PBM", "pnm"] {
            assert!(is_image(yes.as_bytes()), "{yes}");
        }
        for no in ["", "json", "jpg.txt", "cls", "jpgx"] {
            assert!(!is_image(no.as_bytes()), "{no}");
        }
    }
}
