//! Groups the members of a tar into samples.

use std::mem;

use self::apart::{Apart, ApartLabel};
use self::group::Group;
use super::members::{Ending, Member, Members, TarError, TarErrorKind};
use crate::shards::FindingKind;
use crate::shards::foreign;
use crate::shards::index::{IndexBuilder, IndexFull, Record};
use crate::shards::name;

mod apart;
mod group;

/// What one pass over an archive found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) index: IndexBuilder,
    /// Regular files of any kind.
    pub(crate) members: u64,
    apart: Apart,
}

/// Reads the whole archive, checksums every image, and lists the samples. `reached` is told each member's place.
pub(crate) fn scan(archive: &[u8], mut reached: impl FnMut(usize)) -> Result<Scan, TarError> {
    let mut scan = Scan::default();
    let mut members = Members::new(archive);
    let mut group: Option<Group<'_>> = None;
    let mut begin = 0;
    while let Some(member) = members.next() {
        let member = member?;
        reached(member.offset);
        if mem::replace(&mut begin, members.begin()) < members.begin() {
            scan.close(group.take())?;
            // Each archive is whole by itself; another may have the same keys.
            scan.apart.join(&mut scan.index);
            scan.index.findings.push(FindingKind::Joined, b"", begin, "");
        }
        scan.members += u64::from(!member.is_link);
        let Some(keyed) = scan.keyed(member) else { continue };
        if !group.as_ref().is_some_and(|group| group.takes(&keyed)) {
            scan.close(group.take())?;
        }
        group.get_or_insert_with(|| Group::new(&keyed.key)).push(keyed);
    }
    scan.close(group)?;
    scan.apart.finish(&mut scan.index);
    scan.note_ending(members.ending(), archive);
    Ok(scan)
}

/// A member that has a key.
#[derive(Debug)]
struct Keyed<'a> {
    key: Vec<u8>,
    extension: Vec<u8>,
    member: Member<'a>,
}

impl Scan {
    /// The member, if it may be a part of a sample; images that cannot be are noted.
    fn keyed<'a>(&mut self, member: Member<'a>) -> Option<Keyed<'a>> {
        let Member { name, offset, contents, is_link } = &member;
        let mut note = |kind, found: &str| self.index.findings.push(kind, name, *offset, found);
        let Some((key, extension)) = name::split(name) else {
            let is_hidden =
                name.contains(&b'.') && name::is_image(name) && !contents.starts_with(APPLE_DOUBLE);
            if is_hidden {
                note(FindingKind::HiddenName, "");
            } else if name::holds_image(contents) {
                note(FindingKind::NoExtension, "");
            }
            return None;
        };
        if *is_link {
            if name::is_image(extension) {
                note(FindingKind::Link, "");
            }
            return None;
        }
        if let Some(format) = name::unread_format(extension) {
            note(FindingKind::UnreadFormat, &format);
            return None;
        }
        let (key, extension) = (key.to_owned(), extension.to_owned());
        Some(Keyed { key, extension, member })
    }

    fn close(&mut self, group: Option<Group<'_>>) -> Result<(), TarError> {
        let Some(settled) = group.map(|group| group.finish(&mut self.index.findings)) else { return Ok(()) };
        let key = String::from_utf8_lossy(&settled.key);
        let Some(image) = settled.image else {
            self.apart.labels.extend(settled.label.map(|found| ApartLabel::new(&key, found)));
            return Ok(());
        };
        let label = settled.label.and_then(|found| found.store(&mut self.index));
        let Member { offset, contents, .. } = image;
        let unsupported =
            |found: &str| TarError { offset, kind: TarErrorKind::Unsupported, found: found.into() };
        let length = u32::try_from(contents.len()).map_err(|_| unsupported("an image of 4 GiB or more"))?;
        let record = Record {
            offset: offset as u64,
            length,
            crc32: Some(crc32fast::hash(contents)),
            label,
            is_plain: true,
        };
        let pushed = self.index.push(record, key.as_bytes());
        pushed.map_err(|IndexFull| unsupported("more than 4 GiB of keys"))
    }

    fn note_ending(&mut self, ending: Ending, archive: &[u8]) {
        let findings = &mut self.index.findings;
        match ending {
            Ending::Closed => {}
            Ending::Early => findings.push(FindingKind::EndsEarly, b"", archive.len(), ""),
            Ending::Trailing { offset } => {
                let what = foreign::name(&archive[offset..]).unwrap_or("no tar header");
                findings.push(FindingKind::Trailing, b"", offset, what);
            }
        }
    }
}

/// How the files begin that macOS stores beside others, under their name behind `._`: no images, whatever that name says.
const APPLE_DOUBLE: &[u8] = &[0, 5, 0x16, 7];
