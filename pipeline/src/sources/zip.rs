//! Zip archives of images: stored members are read in place, deflated ones are inflated by the worker that decodes them.
//!
//! The central directory (also zip64's) has everything that the index needs, so indexing reads no image. Samples are in
//! the order of their names, like those of the zipped folder. Encrypted members and those with other compression
//! methods are not samples.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use zip::{CompressionMethod, ZipArchive};

use super::plain_file::PlainFile;
use super::{Indexed, Kind, Opened, Source};
use crate::shards::contents::Contents;
use crate::shards::index::{IndexBuilder, Record};
use crate::shards::open::Opening;
use crate::shards::{FindingKind, ReadCause, ShardError, name};

/// The kind.
pub(super) struct Zips;

impl Kind for Zips {
    fn claims(&self, path: &Path, head: Option<&[u8]>) -> bool {
        let begins = |head: &[u8]| head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06");
        let is_named = || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
        head.is_some_and(|head| begins(head) || is_named())
    }

    fn open(&self, path: &Path, opening: &Opening<'_>) -> Result<Opened, ShardError> {
        let (contents, stamp) =
            Contents::open(path, opening.options.access).map_err(ShardError::io("open", path))?;
        let sidecar = opening.sidecar_beside(path);
        let index = opening.index(path, &sidecar, stamp, &|found, _| found == stamp, || {
            let mut index = index_of(path, &contents)?;
            opening.labelling.label_paths(path, &mut index);
            Ok(index)
        })?;
        let source = Box::new(Zip { file: PlainFile::new(path, contents), inflaters: Mutex::default() });
        Ok(Opened { index, source })
    }
}

/// Longest image that is inflated, in bytes.
const MOST_INFLATED: u64 = 1 << 30;
/// Deflate makes nothing smaller than this part of it.
const MOST_DEFLATED: u64 = 1032;

fn index_of(path: &Path, contents: &Contents) -> Result<IndexBuilder, ShardError> {
    let damaged = |error: zip::result::ZipError| {
        let cause = error.to_string();
        ShardError::Damaged { path: path.to_owned(), what: "zip archive", cause }
    };
    let reader = contents.reader().map_err(ShardError::io("read", path))?;
    let archive = ZipArchive::new(reader).map_err(damaged)?;
    let mut index = IndexBuilder::default();
    let mut images = Vec::new();
    let mut members = 0;
    for number in 0..archive.len() {
        let member = archive.by_index_data(number).map_err(damaged)?;
        let file_name = member.name_raw();
        if member.is_dir() || file_name.starts_with(b"__MACOSX/") {
            continue;
        }
        members += 1;
        let extension = name::without_extension(file_name).1;
        if let Some(format) = name::unread_format(extension) {
            index.findings.push(FindingKind::UnreadFormat, file_name, 0, &format);
        }
        if !name::is_image(extension) {
            continue;
        }
        let (length, packed) = (member.size(), member.compressed_size());
        let method = member.compression();
        let mut unreadable = |found: &str| index.findings.push(FindingKind::Unreadable, file_name, 0, found);
        if name::base(file_name).starts_with(b".") {
            index.findings.push(FindingKind::HiddenName, file_name, 0, "");
        } else if member.encrypted() {
            unreadable("encrypted");
        } else if member.is_symlink() {
            index.findings.push(FindingKind::Link, file_name, 0, "");
        } else if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            unreadable(&format!("compressed by {method}; `zip -0` stores images as they are"));
        } else if length > packed.saturating_mul(MOST_DEFLATED) || length > MOST_INFLATED {
            unreadable(&format!("said to inflate from {packed} to {length} bytes"));
        } else {
            let is_plain = method == CompressionMethod::Stored;
            let record = Record {
                offset: member.header_start(),
                length: length as u32, // at most a gigabyte
                crc32: Some(member.crc32()),
                label: None,
                is_plain,
            };
            images.push((file_name.to_vec(), record));
        }
    }
    contents.check_whole(path)?;
    images.sort_by(|(one, _), (another, _)| name::listing_order(one, another));
    for (file_name, record) in &images {
        if index.push(*record, file_name).is_err() {
            let found = "the names of its images take more than 4 GiB".into();
            return Err(ShardError::Unsupported { path: path.into(), offset: 0, found });
        }
    }
    if images.is_empty() {
        let unused = index.findings.unused_images();
        return Err(ShardError::NoImages { path: path.into(), members, unused });
    }
    Ok(index)
}

/// An opened archive.
#[derive(Debug)]
struct Zip {
    file: PlainFile,
    /// One for each thread that inflated.
    inflaters: Mutex<Vec<Inflater>>,
}

/// What inflating needs.
#[derive(Debug)]
struct Inflater {
    state: Decompress,
    /// Where compressed bytes are copied, if they are.
    packed: Vec<u8>,
}

/// What a member's own header says.
struct Header {
    /// Where its contents begin in the file.
    contents: usize,
    /// In bytes, where it is known before the contents are written.
    packed: Option<usize>,
}

impl Header {
    const BYTES: usize = 30;

    fn parse(at: usize, header: &[u8]) -> Option<Header> {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes(*header.get(at..)?.first_chunk()?)));
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let packed = u32::from_le_bytes(*header.get(18..)?.first_chunk()?);
        Some(Header {
            contents: at.checked_add(Header::BYTES + length(26)? + length(28)?)?,
            packed: Some(packed as usize).filter(|_| !matches!(packed, 0 | u32::MAX)),
        })
    }
}

impl Zip {
    /// A part of the file; what is wrong with its header, if there is no such part.
    fn part(&self, range: Range<usize>, buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        self.file.contents().part(range, buffer).map_err(|cause| match cause {
            ReadCause::Index => self.damaged(),
            cause => cause,
        })
    }

    fn damaged(&self) -> ReadCause {
        self.file.shrunk().unwrap_or(ReadCause::Inflate("its header is damaged"))
    }

    fn inflate(&self, header: &Header, length: usize, buffer: &mut Vec<u8>) -> Result<(), ReadCause> {
        // Where its length is not known: no byte takes more than 15 bits.
        let packed = header.packed.unwrap_or(2 * length + 1024);
        let end = header.contents.saturating_add(packed).min(self.file.contents().length());
        let lock = || self.inflaters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Inflater { state: Decompress::new(false), packed: Vec::new() };
        let Inflater { mut state, packed } = lock().pop().unwrap_or_else(new);
        let packed = self.part(header.contents..end, packed)?;
        state.reset(false);
        buffer.clear();
        buffer.reserve(length + 1);
        let status = state.decompress_vec(&packed, buffer, FlushDecompress::Finish);
        let packed = if let Cow::Owned(packed) = packed { packed } else { Vec::new() };
        lock().push(Inflater { state, packed });
        match status {
            Ok(Status::StreamEnd) if buffer.len() == length => Ok(()),
            Ok(_) => Err(ReadCause::Inflate("it has another length than the archive says")),
            Err(_) => Err(ReadCause::Inflate("the compressed bytes are damaged")),
        }
    }
}

impl Source for Zip {
    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn read_ahead(&self, sample: Indexed<'_>) {
        self.file.will_need(&sample.record);
    }

    fn fetch(&self, sample: Indexed<'_>, mut buffer: Vec<u8>) -> Result<Cow<'_, [u8]>, ReadCause> {
        let length = sample.record.length as usize;
        let at = usize::try_from(sample.record.offset).map_err(|_| ReadCause::Index)?;
        let header = self.part(at..at.saturating_add(Header::BYTES), Vec::new())?;
        let header = Header::parse(at, &header).ok_or_else(|| self.damaged())?;
        if sample.record.is_plain {
            return self.part(header.contents..header.contents.saturating_add(length), buffer);
        }
        self.inflate(&header, length, &mut buffer)?;
        Ok(buffer.into())
    }

    fn check_borrowed(&self, sample: Indexed<'_>) -> Result<(), ReadCause> {
        self.file.check(sample)
    }

    fn why_changed(&self) -> Option<ReadCause> {
        self.file.shrunk()
    }

    fn has_names(&self) -> bool {
        true
    }
}
