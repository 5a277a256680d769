//! Parquet files of images, as Hugging Face's `datasets` and pyarrow write them.
//!
//! The values of an uncompressed column are stored verbatim, in a plain page or a dictionary page: the index has their
//! places, and samples are read from the mapping in any order, without a copy. `datasets` leaves image columns
//! uncompressed. A value in a compressed page is only accessible by unpacking all values before it in the page. Such a
//! file is therefore unpacked once into a file in the cache folder, which is read from then on. So is every file that
//! is not mapped.
//!
//! | file | what it does |
//! |---|---|
//! | `columns` | which columns are images, paths and labels; the names of the classes |
//! | `rows` | goes through the rows |
//! | `unpacked` | the file in the cache folder |

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::ByteArray;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::FileReader;
use ::parquet::file::serialized_reader::SerializedFileReader;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use self::columns::Columns;
use self::rows::Row;
use super::plain_file::PlainFile;
use super::{Kind, Opened};
use crate::shards::contents::Contents;
use crate::shards::index::{IndexBuilder, IndexFull, Record, TooManyNames};
use crate::shards::label::{BadLabel, Label};
use crate::shards::mapping::FileStamp;
use crate::shards::open::Opening;
use crate::shards::{FindingKind, ShardError, name};

mod columns;
mod rows;
mod unpacked;

/// The kind.
pub(super) struct Parquets;

impl Kind for Parquets {
    fn claims(&self, path: &Path, head: Option<&[u8]>) -> bool {
        let is_named = || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
        head.is_some_and(|head| head.starts_with(b"PAR1") || is_named())
    }

    fn open(&self, path: &Path, opening: &Opening<'_>) -> Result<Opened, ShardError> {
        let (contents, stamp) =
            Contents::open(path, opening.options.access).map_err(ShardError::io("open", path))?;
        let file = Parquet::read(path, contents)?;
        file.check_compression()?;
        if !file.is_mapped() {
            let (index, unpacked) = unpacked::open(&file, stamp, opening)?;
            return Ok(Opened { index, source: Box::new(unpacked) });
        }
        let sidecar = opening.sidecar_beside(path);
        let index = opening.index(path, &sidecar, stamp, &|found, _| found == stamp, || {
            let mut index = file.index(opening, true, |_, place| Ok(place))?;
            opening.labelling.relabel(path, &mut index);
            Ok(index)
        })?;
        Ok(Opened { index, source: Box::new(PlainFile::new(path, file.contents)) })
    }
}

/// An opened file, its metadata, and the columns that matter.
pub(super) struct Parquet {
    path: PathBuf,
    contents: Arc<Contents>,
    reader: Box<dyn FileReader>,
    columns: Columns,
}

/// A mapped file as an owner of [`Bytes`].
struct Mapped(Arc<Contents>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.mapped().unwrap_or_default()
    }
}

impl Parquet {
    fn read(path: &Path, contents: Contents) -> Result<Parquet, ShardError> {
        let contents = Arc::new(contents);
        let reader = reader(&contents).map_err(|error| damaged(path, error))?;
        let columns = Columns::of(reader.metadata().file_metadata())
            .map_err(|cause| ShardError::NoImageColumn { path: path.into(), cause })?;
        Ok(Parquet { path: path.to_owned(), contents, reader, columns })
    }

    /// Whether the images are in memory as they are.
    fn is_mapped(&self) -> bool {
        let mut groups = self.reader.metadata().row_groups().iter();
        let is_plain =
            groups.all(|group| group.column(self.columns.image).compression() == Compression::UNCOMPRESSED);
        is_plain && self.contents.mapped().is_some()
    }

    /// Refuses compressions that no code was built in for.
    fn check_compression(&self) -> Result<(), ShardError> {
        let Columns { image, path, label, .. } = self.columns;
        let used = [Some(image), path, label];
        for group in self.reader.metadata().row_groups() {
            for column in used.into_iter().flatten() {
                let compression = group.column(column).compression();
                if matches!(compression, Compression::ZSTD(_) | Compression::BROTLI(_) | Compression::LZO) {
                    let name = compression.to_string();
                    let name = name.split('(').next().unwrap_or_default();
                    let cause = format!(
                        "its pages are compressed by {name}; SNAPPY, GZIP, LZ4 or no compression can be read"
                    );
                    return Err(damaged(&self.path, cause));
                }
            }
        }
        Ok(())
    }

    /// Lists the images. `place` is told each one's bytes and where they lie in the mapping, if they do, and says where they will be
    /// found; `None` for one that will not be. `is_plain`: whether that is in this file.
    fn index(
        &self,
        opening: &Opening<'_>,
        is_plain: bool,
        mut place: impl FnMut(&[u8], Option<u64>) -> Result<Option<u64>, ShardError>,
    ) -> Result<IndexBuilder, ShardError> {
        let metadata = self.reader.metadata();
        let (bytes, rows) =
            (self.contents.length() as u64, metadata.file_metadata().num_rows().unsigned_abs());
        let mut reached = opening.reading(bytes);
        let mut index = IndexBuilder::default();
        index.class_names = self.columns.class_names.clone().unwrap_or_default();
        let mut number = 0;
        for group in 0..self.reader.num_row_groups() {
            let group = self.reader.get_row_group(group).map_err(|error| damaged(&self.path, error))?;
            let read = rows::each(group.as_ref(), &self.columns, |row| {
                let key = row.key(number);
                number += 1;
                reached.at((u128::from(bytes) * u128::from(number) / u128::from(rows.max(number))) as u64);
                let Some(image) = row.image.as_ref().map(ByteArray::data) else {
                    index.findings.push(FindingKind::NoImage, key.as_bytes(), 0, "a row without an image");
                    return Ok(());
                };
                let Ok(length) = u32::try_from(image.len()) else {
                    index.findings.push(FindingKind::UnreadFormat, key.as_bytes(), 0, "4 GiB or more");
                    return Ok(());
                };
                let Some(offset) = place(image, self.place_of(image))? else {
                    index.findings.push(FindingKind::Unreadable, key.as_bytes(), 0, "not where its page is");
                    return Ok(());
                };
                let label = match &row.label {
                    Some(Ok(label)) => index.store(label).map_or_else(
                        |TooManyNames| {
                            index.findings.push(FindingKind::TooManyNames, key.as_bytes(), 0, "");
                            None
                        },
                        Some,
                    ),
                    Some(Err(BadLabel { kind, found })) => {
                        index.findings.push(*kind, key.as_bytes(), 0, found);
                        None
                    }
                    None => None,
                };
                let record = Record { offset, length, crc32: Some(crc32fast::hash(image)), label, is_plain };
                index.push(record, key.as_bytes()).map_err(|IndexFull| ShardError::Unsupported {
                    path: self.path.clone(),
                    offset: 0,
                    found: "the keys take more than 4 GiB".into(),
                })
            });
            read.map_err(|error| error.into_shard_error(&self.path))?;
        }
        self.contents.check_whole(&self.path)?;
        if index.samples() == 0 {
            let unused = index.findings.unused_images();
            return Err(ShardError::NoImages { path: self.path.clone(), members: number, unused });
        }
        Ok(index)
    }

    /// Where bytes lie in the file, if they are a part of its mapping.
    fn place_of(&self, bytes: &[u8]) -> Option<u64> {
        let mapped = self.contents.mapped()?;
        let start = (bytes.as_ptr() as usize).checked_sub(mapped.as_ptr() as usize)?;
        (start.checked_add(bytes.len())? <= mapped.len()).then_some(start as u64)
    }
}

fn reader(contents: &Arc<Contents>) -> Result<Box<dyn FileReader>, ParquetError> {
    Ok(match &**contents {
        Contents::Mapped(_) => {
            Box::new(SerializedFileReader::new(Bytes::from_owner(Mapped(contents.clone())))?)
        }
        #[cfg(unix)]
        Contents::Copied { file, .. } => Box::new(SerializedFileReader::new(file.try_clone()?)?),
    })
}

fn damaged(path: &Path, error: impl std::fmt::Display) -> ShardError {
    ShardError::Damaged { path: path.to_owned(), what: "Parquet file", cause: error.to_string() }
}

impl Row {
    /// The path that the row gives its image, without the extension; or the row's number.
    fn key(&self, number: u64) -> String {
        match &self.path {
            Some(path) => {
                let stem = name::without_extension(path.data()).0;
                String::from_utf8_lossy(stem).into_owned()
            }
            None => format!("{number:08}"),
        }
    }
}

/// What a row says of its image's class.
pub(super) fn label_of_number(number: i64) -> Option<Label> {
    // Hugging Face has -1 for none.
    u32::try_from(number).ok().filter(|&number| number != u32::MAX).map(Label::Number)
}

/// What identifies the state of a file, for a name.
fn state_name(path: &Path, stamp: FileStamp) -> String {
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let state =
        [place.as_os_str().as_encoded_bytes(), &stamp.bytes.to_le_bytes(), &stamp.mtime_ns.to_le_bytes()];
    format!("{:016x}", xxh3_64(&state.concat()))
}
