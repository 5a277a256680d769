//! Encoders for and from other programs.
//!
//! - [`EncoderWeights`]: as safetensors, with torchvision's names; [`onnx`]: as a graph.
//! - [`foreign`]: weights from elsewhere by this program's names.

pub mod foreign;
pub mod onnx;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use dfdx::prelude::Cpu;
use simsiam_model::arch::Arch;
use simsiam_model::network::Network;
use simsiam_model::state::{self, NamedTensor};
use simsiam_pipeline::shards::Labels;

use crate::config::TrainConfig;
use crate::error::InputError;
use crate::tensor_file;

/// What an encoder is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightFormat {
    /// safetensors with torchvision's parameter names.
    Torch,
    /// A graph from normalised images, batch x 3 x size x size, to pooled features.
    Onnx,
}

impl WeightFormat {
    /// Refuses a file's name that says another format.
    ///
    /// # Errors
    /// If so; flag, name and what is allowed are named.
    pub fn check_name(self, out: &Path) -> Result<(), InputError> {
        let extension = match self {
            Self::Torch => "safetensors",
            Self::Onnx => "onnx",
        };
        if out.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension)) {
            return Ok(());
        }
        let format = self.to_possible_value().expect("no format is hidden").get_name().to_owned();
        Err(InputError::new(format!(
            "--out {}: must end in .{extension}, for --format {format}",
            out.display()
        )))
    }
}

/// Prefix of an encoder's tensors in a network.
const ENCODER: &str = "encoder.";

/// An encoder without the heads that it was trained with.
pub struct EncoderWeights {
    /// Its architecture.
    pub arch: Arch,
    /// Side of the images that it was trained on.
    pub size: usize,
    /// All tensors by torchvision's names, such as `layer1.0.conv1.weight`, in the network's order.
    pub tensors: Vec<NamedTensor>,
    /// What else there is to know: origin, and how images are normalised.
    pub metadata: Vec<(String, String)>,
}

impl EncoderWeights {
    /// The encoder of a run's network as it was at `checkpoint`.
    pub fn new(config: &TrainConfig, network: &Network<Cpu>, checkpoint: &str) -> Self {
        let recipe = &config.recipe;
        let triple = |[r, g, b]: [f32; 3]| format!("{r} {g} {b}");
        let metadata = [
            ("arch", config.arch.to_string()),
            ("method", config.method.to_string()),
            ("checkpoint", checkpoint.to_owned()),
            ("size", recipe.size.to_string()),
            ("config", shareable(config).to_string()),
            ("mean", triple(recipe.mean)),
            ("std", triple(recipe.std)),
        ];
        let tensors = state::export(network).into_iter().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(ENCODER)?.to_owned();
            Some(NamedTensor { name, ..tensor })
        });
        Self {
            arch: config.arch,
            size: recipe.size,
            tensors: tensors.collect(),
            metadata: metadata.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    /// The bytes of a safetensors file. `torchvision.models.resnet50().load_state_dict(load_file(path), strict=False)` misses only
    /// `fc.weight` and `fc.bias`.
    ///
    /// # Errors
    /// If a tensor's length does not fit its shape.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        tensor_file::encode(&self.tensors, Some(self.metadata.iter().cloned().collect()))
    }
}

/// A configuration without the names of folders of this machine.
fn shareable(config: &TrainConfig) -> TrainConfig {
    TrainConfig {
        shards: Vec::new(),
        val_shards: Vec::new(),
        absolute_shards: Vec::new(),
        absolute_val_shards: Vec::new(),
        cache_dir: None,
        labels: match &config.labels {
            Labels::Table(path) => Labels::Table(file_name(path)),
            labels => labels.clone(),
        },
        select: config.choice().with_lists(file_name).map_or(None, |choice| choice.select),
        ..config.clone()
    }
}

fn file_name(path: &Path) -> PathBuf {
    path.file_name().map_or_else(|| path.to_owned(), PathBuf::from)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{Overrides, Preset};

    /// A run's configuration and its network at the beginning.
    pub(crate) fn network(preset: Preset, arch: Arch, seed: u64) -> (TrainConfig, Network<Cpu>) {
        let (preset, arch, seed) = (Some(preset), Some(arch), Some(seed));
        let config = TrainConfig::resolve(&Overrides { preset, arch, seed, ..Overrides::default() }).unwrap();
        let network = config.network(&Cpu::default(), 1, 1);
        (config, network)
    }
}
