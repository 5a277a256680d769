//! One safetensors file: `features`, n x dim of f32; `labels`, n of i64; and `keys`, the UTF-8 bytes of all keys with a
//! line feed between two.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use simsiam_pipeline::shards::AtomicFile;

use super::EmbeddingFile;
use super::kept::Kept;

/// The file's header comes first but is known last: its place is reserved for the longest that it can be, and the
/// format allows spaces at its end.
pub(super) struct SafetensorsFile {
    file: BufWriter<AtomicFile>,
    header: Header,
    reserved: usize,
}

struct Header {
    dim: usize,
    metadata: Value,
}

impl SafetensorsFile {
    /// Begins a file of at most `samples` rows.
    pub(super) fn create(
        path: &Path,
        dim: usize,
        samples: u64,
        metadata: &BTreeMap<String, String>,
    ) -> io::Result<Self> {
        let header = Header { dim, metadata: json!(metadata) };
        let longest = header.text(samples, u64::MAX >> 1).len();
        // With the eight bytes of the length before it, tensors begin at a multiple of 64.
        let reserved = (longest + 8).next_multiple_of(64) - 8;
        let mut file = BufWriter::new(AtomicFile::create(path)?);
        file.write_all(&vec![0; 8 + reserved])?;
        Ok(Self { file, header, reserved })
    }
}

impl EmbeddingFile for SafetensorsFile {
    fn append(&mut self, rows: &[f32]) -> io::Result<()> {
        self.file.write_all(bytemuck::cast_slice(rows))
    }

    fn finish(self: Box<Self>, kept: &Kept<'_>) -> io::Result<()> {
        let Self { mut file, header, reserved } = *self;
        kept.labels().try_for_each(|label| file.write_all(&label.to_le_bytes()))?;
        let mut key_bytes = 0;
        for (index, key) in kept.keys().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            file.write_all(separator.as_bytes())?;
            file.write_all(key.as_bytes())?;
            key_bytes += (separator.len() + key.len()) as u64;
        }
        file.rewind()?;
        file.write_all(&(reserved as u64).to_le_bytes())?;
        write!(file, "{:reserved$}", header.text(kept.len(), key_bytes))?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync()?;
        file.persist()
    }
}

impl Header {
    fn text(&self, rows: u64, key_bytes: u64) -> String {
        let mut entries = Map::from_iter([("__metadata__".to_owned(), self.metadata.clone())]);
        let mut offset = 0;
        for (name, dtype, shape, bytes) in [
            ("features", "F32", vec![rows, self.dim as u64], 4 * rows * self.dim as u64),
            ("labels", "I64", vec![rows], 8 * rows),
            ("keys", "U8", vec![key_bytes], key_bytes),
        ] {
            let tensor = json!({ "dtype": dtype, "shape": shape, "data_offsets": [offset, offset + bytes] });
            entries.insert(name.to_owned(), tensor);
            offset += bytes;
        }
        Value::Object(entries).to_string()
    }
}
