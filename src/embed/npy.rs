//! NumPy's format: `NAME.npy` with the features, `NAME.labels.npy`, and `NAME.keys.txt` with a key a line.

use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

use simsiam_pipeline::shards::AtomicFile;

use super::EmbeddingFile;
use super::kept::Kept;

/// Three files under way.
pub(super) struct NpyFiles {
    features: BufWriter<AtomicFile>,
    labels: BufWriter<AtomicFile>,
    keys: BufWriter<AtomicFile>,
    dim: usize,
}

impl NpyFiles {
    /// Begins the files beside `path`, the features' own.
    pub(super) fn create(path: &Path, dim: usize) -> io::Result<Self> {
        let create = |path: &Path| AtomicFile::create(path).map(BufWriter::new);
        let mut features = create(path)?;
        // The number of rows is known last; every header has the same length.
        features.write_all(&header("<f4", &[0, dim as u64]))?;
        let (labels, keys) = (path.with_extension("labels.npy"), path.with_extension("keys.txt"));
        Ok(Self { features, labels: create(&labels)?, keys: create(&keys)?, dim })
    }
}

impl EmbeddingFile for NpyFiles {
    fn append(&mut self, rows: &[f32]) -> io::Result<()> {
        self.features.write_all(bytemuck::cast_slice(rows))
    }

    fn finish(self: Box<Self>, kept: &Kept<'_>) -> io::Result<()> {
        let Self { mut features, mut labels, mut keys, dim } = *self;
        labels.write_all(&header("<i8", &[kept.len()]))?;
        kept.labels().try_for_each(|label| labels.write_all(&label.to_le_bytes()))?;
        kept.keys().try_for_each(|key| writeln!(keys, "{key}"))?;
        features.rewind()?;
        features.write_all(&header("<f4", &[kept.len(), dim as u64]))?;
        for file in [labels, keys, features] {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync()?;
            file.persist()?;
        }
        Ok(())
    }
}

/// Version 1.0 of the format: magic, length, and a Python dictionary padded to 128 bytes in all.
fn header(dtype: &str, shape: &[u64]) -> [u8; 128] {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let dictionary = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({shape}), }}");
    let mut header = [b' '; 128];
    header[..10].copy_from_slice(b"\x93NUMPY\x01\x00\x76\x00"); // 0x76 = 118 bytes follow
    header[10..10 + dictionary.len()].copy_from_slice(dictionary.as_bytes());
    header[127] = b'\n';
    header
}

/// Reads a header, of any version, of little-endian f32 in rows: how many rows there are, and values in a row.
pub(super) fn read_shape(file: &mut impl Read) -> io::Result<[usize; 2]> {
    let wrong = || io::Error::other("no NumPy file of features, n x d of f32 in rows");
    let mut start = [0; 10];
    file.read_exact(&mut start).map_err(|_| wrong())?;
    let (magic, version, mut length) =
        (&start[..6], start[6], u32::from(u16::from_le_bytes([start[8], start[9]])));
    if magic != b"\x93NUMPY" {
        return Err(wrong());
    }
    if version > 1 {
        let mut upper = [0; 2];
        file.read_exact(&mut upper)?;
        length |= u32::from(u16::from_le_bytes(upper)) << 16;
    }
    let mut dictionary = String::new();
    file.take(length.into()).read_to_string(&mut dictionary).map_err(|_| wrong())?;
    let value = |key: &str| Some(dictionary.split_once(&format!("'{key}':"))?.1.trim_start());
    let is = |key, expected| value(key).is_some_and(|value| value.starts_with(expected));
    let sizes = value("shape").and_then(|shape| shape.strip_prefix('(')?.split_once(')'));
    let sizes = sizes.map(|(sizes, _)| sizes.split(',').map(str::trim).filter(|size| !size.is_empty()));
    let sizes: Option<Vec<usize>> = sizes.and_then(|sizes| sizes.map(|size| size.parse().ok()).collect());
    match sizes.as_deref() {
        Some(&[rows, dim]) if is("descr", "'<f4'") && is("fortran_order", "False") => Ok([rows, dim]),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_this_program_and_of_numpy_are_read() {
        assert_eq!(read_shape(&mut &header("<f4", &[50_000, 64])[..]).unwrap(), [50_000, 64]);
        let of_numpy = |version: &[u8], dictionary: &str| {
            let header = [b"\x93NUMPY", version, dictionary.as_bytes()].concat();
            read_shape(&mut &header[..])
        };
        let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n";
        assert_eq!(of_numpy(b"\x01\0\x3c\0", dictionary).unwrap(), [3, 2]);
        assert_eq!(of_numpy(b"\x02\0\x3c\0\0\0", dictionary).unwrap(), [3, 2]);
        for (from, to) in [("<f4", "<f8"), ("False", "True "), ("3, 2", "6,"), ("3, 2", "-3, 2")] {
            assert!(of_numpy(b"\x01\0\x3c\0", &dictionary.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_header_is_numpys() {
        let header = header("<f4", &[50_000, 64]);
        let text = "\u{93}NUMPY\u{1}\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (50000, 64, ), }";
        let bytes: Vec<u8> = text.chars().map(|character| character as u8).collect();
        assert_eq!(header[..bytes.len()], bytes);
        assert!(header[bytes.len()..127].iter().all(|&byte| byte == b' ') && header[127] == b'\n');
        assert_eq!(super::header("<f4", &[u64::MAX, u64::MAX]).len(), 128);
    }
}
