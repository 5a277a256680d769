//! The findings in an index: the number of each kind, then the findings in sequence.
//!
//! ```text
//! counts    u64 for each kind
//! findings  kind u8, offset u64, length of the member's name u16, length of what was found u16, both texts
//! ```

use super::super::finding::{FindingKind, Subject};

const KINDS: usize = FindingKind::ALL.len();
pub(super) const COUNT_BYTES: usize = 8 * KINDS;
const ENTRY_BYTES: usize = 1 + 8 + 2 + 2;

/// Findings of one kind that are kept with their names, in one shard; all are counted.
const MOST_OF_A_KIND: u64 = 10_000;
/// Longest text that is kept, in bytes: of a name that is longer, the beginning.
const MOST_TEXT: usize = 1024;

/// Findings of one shard.
#[derive(Debug, Default)]
pub(crate) struct FindingsBuilder {
    counts: [u64; KINDS],
    entries: Vec<u8>,
}

impl FindingsBuilder {
    /// Counts what was found as often as `count` says, and keeps it once, without a name.
    pub(crate) fn push_all(&mut self, kind: FindingKind, count: u64, found: &str) {
        self.push(kind, b"", 0, found);
        self.counts[kind as usize] += count - 1;
    }

    pub(crate) fn push(&mut self, kind: FindingKind, member: &[u8], offset: usize, found: &str) {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        if *count > MOST_OF_A_KIND {
            return;
        }
        let member = String::from_utf8_lossy(member);
        let texts = [&member, found].map(|text| &text[..text.floor_char_boundary(MOST_TEXT)]);
        self.entries.push(kind as u8);
        self.entries.extend((offset as u64).to_le_bytes());
        texts.iter().for_each(|text| self.entries.extend((text.len() as u16).to_le_bytes()));
        texts.iter().for_each(|text| self.entries.extend(text.as_bytes()));
    }

    /// For the error that a source has no images: those that cannot be used, behind a separator.
    pub(crate) fn unused_images(&self) -> String {
        let images = self.counts().filter(|(kind, _)| kind.subject() == Subject::Image);
        let images: Vec<_> = images.map(|(kind, count)| format!("{count} {kind}")).collect();
        if images.is_empty() { String::new() } else { format!("; not used: {}", images.join(", ")) }
    }

    /// Of the kinds that were found.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (FindingKind, u64)> {
        found(self.counts)
    }

    /// Nothing, if there are none.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let counts: Vec<u8> = self.counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        [counts, self.entries.clone()].concat()
    }
}

/// How often each kind was found, of those that were.
pub(super) fn counts(section: &[u8]) -> impl Iterator<Item = (FindingKind, u64)> {
    let mut counts = [0; KINDS];
    for (count, bytes) in counts.iter_mut().zip(section.as_chunks().0) {
        *count = u64::from_le_bytes(*bytes);
    }
    found(counts)
}

fn found(counts: [u64; KINDS]) -> impl Iterator<Item = (FindingKind, u64)> {
    FindingKind::ALL.into_iter().zip(counts).filter(|&(_, count)| count > 0)
}

/// Kind, offset, member and what was found.
pub(crate) type Entry = (FindingKind, u64, String, String);

/// The findings that are kept. Ends early where they are not what was written, as when the file is overwritten.
pub(super) fn entries(section: &[u8]) -> impl Iterator<Item = Entry> {
    let mut rest = section.get(COUNT_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, texts) = rest.split_first_chunk::<ENTRY_BYTES>()?;
        let [kind, o0, o1, o2, o3, o4, o5, o6, o7, m0, m1, f0, f1] = *head;
        let kind = *FindingKind::ALL.get(usize::from(kind))?;
        let offset = u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let lengths = [u16::from_le_bytes([m0, m1]), u16::from_le_bytes([f0, f1])];
        let (member, texts) = texts.split_at_checked(lengths[0].into())?;
        let (found, behind) = texts.split_at_checked(lengths[1].into())?;
        rest = behind;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some((kind, offset, text(member)?, text(found)?))
    })
}
