//! The binary format of an index.

use xxhash_rust::xxh3::xxh3_64;

use super::super::mapping::FileStamp;
use super::{Record, StoredLabel};

pub(super) const MAGIC: &[u8; 8] = b"SIMSIDX\n";
/// Raised with every change of the format, and of what is a sample; an index of another version is built anew.
/// 2: labels also come from `.json` members. 3: `.pgm`, `.pbm` and `.pnm` members are images. 4: names as labels, labels apart from
/// their images, images by content, joined archives, findings. 5: sources of any kind: checksums that may be unknown, the state of the source,
/// a fingerprint of the images alone. 6: the classes that a source names itself.
/// 7: archives among images. 8: labels that are floats or truth values in Parquet.
pub(crate) const VERSION: u32 = 8;
/// What the header's own hash is over; the hash stands behind it.
pub(crate) const HASHED_HEADER_BYTES: usize = 16 + 8 * FIELDS;
const FIELDS: usize = 12;
pub(crate) const HEADER_BYTES: usize = HASHED_HEADER_BYTES + 8;
pub(super) const RECORD_BYTES: usize = 24;
/// The label of a sample without one.
const NO_LABEL: u32 = u32::MAX;
/// Set in the offset of a record whose label is the place of a name. No file is so long that its offsets need this bit.
const IS_NAME: u64 = 1 << 63;
/// Set in the offset of a record whose image has no known checksum. Nor this one.
const NO_CHECKSUM: u64 = 1 << 62;
/// Set in the offset of a record whose bytes don't lie there as they are.
const NOT_PLAIN: u64 = 1 << 61;

/// The hash of checksums that are not all known.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// Why an index is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stale {
    #[error("is not a shard index")]
    Foreign,
    #[error("is damaged")]
    Corrupt,
    #[error("has version {0}, not {VERSION}")]
    Version(u32),
    #[error("describes another state of the shard")]
    Shard,
}

/// The first bytes: magic, version and a reserved zero (4 bytes each), then the fields below in order, then xxh3 of all
/// before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) shard: FileStamp,
    pub(super) samples: u64,
    pub(super) key_bytes: u64,
    pub(super) name_bytes: u64,
    pub(super) class_bytes: u64,
    pub(super) finding_bytes: u64,
    pub(super) state_bytes: u64,
    /// Of the images' lengths and checksums; the latter is `u64::MAX`, which is no hash, where one is unknown.
    pub(super) fingerprint: (u64, u64),
    /// xxh3 of the records, keys and names: what the samples are.
    pub(super) contents_hash: u64,
    /// xxh3 of the classes, the findings and the state.
    pub(super) rest_hash: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let fields = [
            self.shard.bytes,
            self.shard.mtime_ns.cast_unsigned(),
            self.samples,
            self.key_bytes,
            self.name_bytes,
            self.class_bytes,
            self.finding_bytes,
            self.state_bytes,
            self.fingerprint.0,
            self.fingerprint.1,
            self.contents_hash,
            self.rest_hash,
        ];
        for (place, field) in bytes[16..HASHED_HEADER_BYTES].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let hash = xxh3_64(&bytes[..HASHED_HEADER_BYTES]);
        bytes[HASHED_HEADER_BYTES..].copy_from_slice(&hash.to_le_bytes());
        bytes
    }

    pub(super) fn parse(file: &[u8]) -> Result<Header, Stale> {
        let magic = &file[..file.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            return Err(Stale::Foreign);
        }
        let version = file.get(8..12).map(|_| u32_at(file, 8));
        if let Some(version) = version.filter(|&version| version != VERSION) {
            return Err(Stale::Version(version));
        }
        let bytes: &[u8; HEADER_BYTES] = file.first_chunk().ok_or(Stale::Corrupt)?;
        if xxh3_64(&bytes[..HASHED_HEADER_BYTES]) != u64_at(bytes, HASHED_HEADER_BYTES) {
            return Err(Stale::Corrupt);
        }
        let fields: [u64; FIELDS] = std::array::from_fn(|field| u64_at(bytes, 16 + 8 * field));
        let [shard_bytes, mtime, samples, key_bytes, name_bytes, class_bytes, finding_bytes, state_bytes, ..] =
            fields;
        let [.., lengths, checksums, contents_hash, rest_hash] = fields;
        Ok(Header {
            shard: FileStamp { bytes: shard_bytes, mtime_ns: mtime.cast_signed() },
            samples,
            key_bytes,
            name_bytes,
            class_bytes,
            finding_bytes,
            state_bytes,
            fingerprint: (lengths, checksums),
            contents_hash,
            rest_hash,
        })
    }

    /// The sections of a file that is exactly as long as this header says.
    pub(super) fn sections<'a>(&self, file: &'a [u8]) -> Result<Sections<'a>, Stale> {
        let length = |bytes: u64| usize::try_from(bytes).map_err(|_| Stale::Corrupt);
        let record_bytes = length(self.samples.checked_mul(RECORD_BYTES as u64).ok_or(Stale::Corrupt)?)?;
        let lengths = [
            record_bytes,
            length(self.key_bytes)?,
            length(self.name_bytes)?,
            length(self.class_bytes)?,
            length(self.finding_bytes)?,
        ];
        let mut at = HEADER_BYTES;
        let mut sections = [&file[..0]; 5];
        for (section, length) in sections.iter_mut().zip(lengths) {
            let end = at.checked_add(length).ok_or(Stale::Corrupt)?;
            *section = file.get(at..end).ok_or(Stale::Corrupt)?;
            at = end;
        }
        let [records, keys, names, classes, findings] = sections;
        let state = &file[at..];
        if state.len() as u64 != self.state_bytes {
            return Err(Stale::Corrupt);
        }
        let (contents, rest) = file[HEADER_BYTES..].split_at(record_bytes + keys.len() + names.len());
        Ok(Sections { contents, rest, records, keys, names, classes, findings, state })
    }
}

/// What follows the header.
pub(super) struct Sections<'a> {
    /// Records, keys and names.
    pub(super) contents: &'a [u8],
    /// Classes, findings and state.
    pub(super) rest: &'a [u8],
    records: &'a [u8],
    pub(super) keys: &'a [u8],
    pub(super) names: &'a [u8],
    pub(super) classes: &'a [u8],
    pub(super) findings: &'a [u8],
    pub(super) state: &'a [u8],
}

/// Labelled samples: those with a number, and those of each name.
pub(super) struct Labelled {
    pub(super) numbers: u64,
    pub(super) by_name: Vec<u64>,
}

/// Verifies that every record lies in the shard, every key in the keys and every label in the names, of which there are `names`;
/// counts the labels.
///
/// Only a faulty writer gets past the hash with anything else: this is the second line.
pub(super) fn check_records(
    sections: &Sections<'_>,
    shard: FileStamp,
    names: usize,
) -> Result<Labelled, Stale> {
    let mut labelled = Labelled { numbers: 0, by_name: vec![0; names] };
    let mut key_start = 0;
    for raw in sections.records.as_chunks::<RECORD_BYTES>().0 {
        let (record, key_end) = parse_record(raw);
        let end = record.offset.checked_add(u64::from(record.length));
        let is_within = !record.is_plain || end.is_some_and(|end| end <= shard.bytes);
        if key_end < key_start || !is_within {
            return Err(Stale::Corrupt);
        }
        key_start = key_end;
        match record.label {
            Some(StoredLabel::Number(_)) => labelled.numbers += 1,
            Some(StoredLabel::Name(place)) => {
                *labelled.by_name.get_mut(place as usize).ok_or(Stale::Corrupt)? += 1;
            }
            None => {}
        }
    }
    if key_start as usize == sections.keys.len() { Ok(labelled) } else { Err(Stale::Corrupt) }
}

/// Class names, each behind its length in 2 bytes.
pub(super) fn names_to_bytes<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut section = Vec::new();
    for name in names {
        let name = &name[..name.floor_char_boundary(u16::MAX.into())];
        section.extend((name.len() as u16).to_le_bytes());
        section.extend(name.bytes());
    }
    section
}

pub(super) fn parse_names(mut section: &[u8]) -> Result<Vec<String>, Stale> {
    let mut names = Vec::new();
    while !section.is_empty() {
        let (length, rest) = section.split_first_chunk().ok_or(Stale::Corrupt)?;
        let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or(Stale::Corrupt)?;
        names.push(std::str::from_utf8(name).map_err(|_| Stale::Corrupt)?.to_owned());
        section = rest;
    }
    Ok(names)
}

/// A record, and where its key ends in the keys; it begins where the one before ends.
pub(super) fn parse_record(raw: &[u8; RECORD_BYTES]) -> (Record, u32) {
    let (offset, label) = (u64_at(raw, 0), u32_at(raw, 16));
    let label = match offset & IS_NAME {
        0 => Some(label).filter(|&label| label != NO_LABEL).map(StoredLabel::Number),
        _ => Some(StoredLabel::Name(label)),
    };
    let crc32 = (offset & NO_CHECKSUM == 0).then(|| u32_at(raw, 12));
    let is_plain = offset & NOT_PLAIN == 0;
    let offset = offset & !(IS_NAME | NO_CHECKSUM | NOT_PLAIN);
    let record = Record { offset, length: u32_at(raw, 8), crc32, label, is_plain };
    (record, u32_at(raw, 20))
}

pub(super) fn record_bytes(record: &Record, key_end: u32) -> [u8; RECORD_BYTES] {
    let mut raw = [0; RECORD_BYTES];
    let no_checksum = if record.crc32.is_none() { NO_CHECKSUM } else { 0 };
    let not_plain = if record.is_plain { 0 } else { NOT_PLAIN };
    let (is_name, label) = match record.label {
        Some(StoredLabel::Number(number)) => (0, number),
        Some(StoredLabel::Name(place)) => (IS_NAME, place),
        None => (0, NO_LABEL),
    };
    raw[..8].copy_from_slice(&(record.offset | is_name | no_checksum | not_plain).to_le_bytes());
    let crc32 = record.crc32.unwrap_or(0);
    for (place, field) in raw[8..].chunks_exact_mut(4).zip([record.length, crc32, label, key_end]) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    raw
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("fields end before the header or record does"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("fields end before the header or record does"))
}
