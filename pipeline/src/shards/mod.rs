//! Images where they lie, as one numbered sequence of samples: WebDataset tars, zips, Parquet files and folders, indexed once, and
//! mapped and read without a copy where they can be. What is different about each kind is in `sources`.
//!
//! ```text
//! patterns -> paths -> source and index (sidecar, or what the source lists) -> ShardSet::read -> EncodedSample
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `set` | [`ShardSet`]: all shards as one numbered sequence |
//! | `sample` | [`EncodedSample`] and its [`Location`] |
//! | `shard` | [`Shard`]: one source and its index |
//! | `near` | which remote shards are fetched |
//! | `open` | opens and indexes many sources in parallel |
//! | `pattern`, `classes` | which files, also by WebDataset's `shardindex.json`; the names of the classes |
//! | `index` | the sidecar's format, and where it lives |
//! | `name`, `label`, `labels` | what names and labels say; labels from folders and tables |
//! | `fingerprint` | [`Fingerprint`]: the same images, whatever holds them |
//! | `finding`, `warnings` | [`Finding`]: what became no sample, and the lines that say so |
//! | `foreign` | what a file is that is no tar |
//! | `contents` | a file's bytes, by [`Access`] |
//! | `mapping`, `fault` | the memory map, and what happens when its file shrinks |
//! | `writer`, `atomic_file` | [`ShardWriter`]; [`AtomicFile`]: complete or not there |
//!
//! # What a sample is
//! In a folder or a zip, an image file; in a Parquet file, a row. In a tar, consecutive members with the same key, which is the path up to the first dot of the base name. The rest is
//! the extension: the image is the first member whose extension is `jpg`, `jpeg`, `jpe`, `jfif`, `pjpeg`, `png`, `webp`, `gif`, `bmp`,
//! `dib`, `tif`, `tiff`, `ppm`, `pgm`, `pbm`, `pnm`, `pam` or `img` in any case, or failing that ends in one of them (`left.jpg`), or
//! failing that is an image whatever its extension. `cls` is the label, a decimal number or the name of a class. Without `cls`, it
//! is what stands under `label` or `cls` of the object in `json`, if there is one and they don't differ. A label that lies elsewhere
//! in the shard counts if exactly one sample has its key. Other members are ignored. An extension that comes twice under one key
//! begins another sample, so keys need not be unique. That covers what the `webdataset` package, Hugging Face and img2dataset write.
//!
//! Images and labels that end up in no sample are [`Finding`]s: the index keeps them.
//!
//! # Memory maps and SIGBUS
//! Reading a mapped page that its file no longer has, because someone cut the file or because a disk failed, raises SIGBUS, which ends
//! most programs. Here it makes bad samples: with the first map, a handler for SIGBUS is installed in the process. It handles faults
//! in this crate's own maps, and gives every other one to the handler that was there before, Rust's and Python's included. It is
//! never removed. A handler that is installed after it should do as much, or do without this crate's: without it, a shard
//! that shrinks ends the process.
//!
//! A program that wants no handler opens its shards with [`Access::Copied`] ([`Loader`](crate::Loader):
//! [`fault_handler(false)`](crate::loader::LoaderBuilder::fault_handler)). Nothing is mapped then, and bad samples are the same.
//! The cost is one system call for each sample, and what [`Access::Copied`] names.
//!
//! # Names as labels
//! They are the lines of `classes.txt`, where there is one; otherwise the classes are all names of the set in their order, so that
//! the number of a class does not depend on the shard. [`OpenOptions::class_names`] gives another set's, for the same numbers in both.
//! Beside labels that are numbers, a name is one only if `classes.txt` has it.

pub use self::atomic_file::AtomicFile;
pub(crate) use self::classes::FILE_NAME as CLASSES_FILE;
pub use self::contents::Access;
pub use self::error::{ReadCause, ReadError, ShardError};
pub use self::finding::{Finding, FindingKind, Subject};
pub use self::fingerprint::{BadFingerprint, Fingerprint};
pub use self::index::sidecar::user_cache_dir as default_cache_dir;
pub use self::labels::Labels;
pub(crate) use self::name::{is_image, unread_format};
#[cfg(feature = "remote")]
pub(crate) use self::pattern::expand_braces;
pub use self::sample::{EncodedSample, Location};
pub use self::set::{IndexProgress, OpenOptions, ShardSet};
pub use self::shard::Shard;
pub use self::writer::ShardWriter;

mod atomic_file;
mod classes;
pub(crate) mod contents;
mod error;
#[cfg(unix)]
mod fault;
pub(crate) mod finding;
mod fingerprint;
pub(crate) mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub(crate) mod index;
pub(crate) mod label;
pub(crate) mod labels;
pub(crate) mod mapping;
pub(crate) mod name;
mod near;
pub(crate) mod open;
mod pattern;
mod sample;
mod set;
mod shard;
mod warnings;
mod writer;
