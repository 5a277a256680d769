//! Features as files for other programs: one row for each usable sample, with its label and key.
//!
//! - [`safetensors`], [`npy`]: the two formats; [`kept`]: which samples have a row; [`saved`]: both formats read back.
//!
//! Rows are written as they are computed, so memory does not grow with the data; labels and keys follow from the
//! shards' indexes. A file appears under its name when it is complete.

pub mod kept;
pub mod npy;
pub mod safetensors;
pub mod saved;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use self::kept::Kept;
use self::npy::NpyFiles;
use self::safetensors::SafetensorsFile;
use crate::console::Phase;
use crate::data::Source;
use crate::error::InputError;
use crate::evaluate::features::Extractor;

/// A file under way.
trait EmbeddingFile {
    /// Adds rows of features.
    fn append(&mut self, rows: &[f32]) -> io::Result<()>;

    /// Adds labels and keys, and puts the file under its name.
    fn finish(self: Box<Self>, kept: &Kept<'_>) -> io::Result<()>;
}

/// Writes the features of all of a source's usable samples to `out`, in the format that its extension names; which samples
/// these were. `metadata` goes into a safetensors file's header.
///
/// # Errors
/// If the extension is neither `safetensors` nor `npy`, samples cannot be read, or files cannot be written.
pub fn embed<'a>(
    extractor: &Extractor<'_>,
    source: &'a Source,
    out: &Path,
    metadata: &BTreeMap<String, String>,
    phase: &Phase,
) -> Result<Kept<'a>> {
    let failed = || format!("cannot write {}", out.display());
    let (dim, samples) = (extractor.encoder.dim(), source.len());
    let mut file: Box<dyn EmbeddingFile> = match out.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => {
            Box::new(SafetensorsFile::create(out, dim, samples, metadata).with_context(failed)?)
        }
        Some("npy") => Box::new(NpyFiles::create(out, dim).with_context(failed)?),
        _ => {
            let text = format!("--out {}: must end in .safetensors or .npy", out.display());
            return Err(InputError::new(text).into());
        }
    };
    let mut kept = Kept::new(&source.shards, source.chosen.as_ref());
    for batch in extractor.plain(source)? {
        let batch = batch?;
        file.append(&batch.features).with_context(failed)?;
        batch.images.samples().for_each(|sample| kept.push(sample));
        phase.inc(batch.images.len() as u64);
    }
    file.finish(&kept).with_context(failed)?;
    Ok(kept)
}
