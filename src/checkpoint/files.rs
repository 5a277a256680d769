//! The files of a checkpoint's folder: written, checked and read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use simsiam_model::state::NamedTensor;
use simsiam_pipeline::shards::sync_names;
use xxhash_rust::xxh3::xxh3_64;

use super::{Checkpoint, RunState, SavedModel};
use crate::tensor_file;

/// The version of the layout that this program writes and reads.
pub const FORMAT: u32 = 3;
/// The one before, which is read, too. Its fingerprints were of the shards' files.
const FORMER_FORMAT: u32 = 2;
pub(super) const MODEL: &str = "model.safetensors";
pub(super) const OPTIMIZER: &str = "optimizer.safetensors";
const PROBE: &str = "probe.safetensors";
pub(super) const STATE: &str = "state.json";

/// `state.json`: the state, and the other files' checksums.
#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    state: RunState,
    files: BTreeMap<String, FileDigest>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct FileDigest {
    bytes: u64,
    xxh3: u64,
}

impl FileDigest {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, xxh3: xxh3_64(bytes) }
    }
}

pub(super) fn read(path: &Path) -> anyhow::Result<Checkpoint> {
    let manifest = Manifest::read(path)?;
    let (model, optimizer) = (manifest.tensors(path, MODEL)?, manifest.tensors(path, OPTIMIZER)?);
    let has_probe = manifest.files.contains_key(PROBE);
    let probe = if has_probe { manifest.tensors(path, PROBE)? } else { Vec::new() };
    Ok(Checkpoint { state: manifest.state, model, optimizer, probe })
}

pub(super) fn read_model(path: &Path) -> anyhow::Result<SavedModel> {
    let manifest = Manifest::read(path)?;
    let model = manifest.tensors(path, MODEL)?;
    Ok(SavedModel { state: manifest.state, model })
}

impl Manifest {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(path.join(STATE)).map_err(anyhow::Error::from);
        bytes.and_then(|bytes| parse_manifest(&bytes)).context(STATE)
    }

    /// The tensors of one of the checkpoint's files.
    fn tensors(&self, path: &Path, name: &'static str) -> anyhow::Result<Vec<NamedTensor>> {
        let bytes = fs::read(path.join(name)).context(name)?;
        ensure!(self.files.get(name) == Some(&FileDigest::of(&bytes)), "{name}: checksum mismatch");
        tensor_file::decode(&bytes, |_| true).context(name)
    }
}

pub(super) fn fill(folder: &Path, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut files = BTreeMap::new();
    let Checkpoint { model, optimizer, probe, .. } = checkpoint;
    let probe = Some((PROBE, probe)).filter(|(_, probe)| !probe.is_empty());
    for (name, tensors) in [(MODEL, model), (OPTIMIZER, optimizer)].into_iter().chain(probe) {
        let bytes = tensor_file::encode(tensors, None)?;
        files.insert(name.to_owned(), FileDigest::of(&bytes));
        write_synced(&folder.join(name), &bytes)?;
    }
    let manifest = Manifest { state: checkpoint.state.clone(), files };
    write_synced(&folder.join(STATE), &serde_json::to_vec_pretty(&manifest)?)?;
    Ok(sync_names(folder)?)
}

pub(crate) fn parse_manifest(bytes: &[u8]) -> anyhow::Result<Manifest> {
    let mut manifest: serde_json::Value = serde_json::from_slice(bytes)?;
    let format = &manifest["state"]["format"];
    ensure!(
        *format == FORMAT || *format == FORMER_FORMAT,
        "its format is {format}, this program reads {FORMER_FORMAT} and {FORMAT}"
    );
    if *format == FORMER_FORMAT {
        for fingerprints in ["data", "val"] {
            manifest["state"][fingerprints].take();
        }
    }
    Ok(serde_json::from_value(manifest)?)
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn remove_file(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
